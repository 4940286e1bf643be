"""Flask: an ordinary app made a resource server. An adapter; every rule is in `policy`.

    app = Flask(__name__)
    guard = Guard(app, issuer="https://id.example.com", audience="https://app.example.com",
                  app_origin="https://app.example.com", public=("static",))

    @app.get("/api/photos")
    @guard.scopes("photos.read")
    def photos(): ...          # guard.user.sub, guard.user.scopes, guard.user.claims

Every route must declare who may call it; what declares nothing is refused, and named in the log. In templates:
`{{ csp_nonce() }}` for inline script and style elements, `{{ csrf_field() }}` in a form whose route has `csrf="form"`.

A streamed answer is checked when it starts. Streams that last belong into ASGI, whose guard ends them with the session.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, has_request_context, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from bartizan.guard import answers, policy
from bartizan.guard.answers import Exchange
from bartizan.guard.kit import Kit, RouteRow
from bartizan.guard.policy import Grant, GuardRequest, RoutePolicy
from bartizan.protocol.refusal import Refused, Unavailable
from bartizan.protocol.web import cors, csrf

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_EXCHANGE = "bartizan.guard"


class Guard(Kit[Flask]):
    def init_app(self, app: Flask) -> None:
        """Takes the app under guard: its check runs before every other hook, its headers go on every answer."""
        self._app = app
        app.before_request_funcs.setdefault(None, []).insert(0, self._before)
        # Flask's own way to be wrapped, which mypy takes for an overwritten method
        app.wsgi_app = self._around(app.wsgi_app)  # type: ignore[method-assign, assignment]
        app.jinja_env.globals.update(csp_nonce=self.csp_nonce, csrf_field=self.csrf_field)
        app.extensions["bartizan.guard"] = self

    def routes(self) -> list[RouteRow]:
        return [
            RouteRow(rule.rule, tuple(sorted(rule.methods or ())), rule.endpoint, self._policy(rule.endpoint))
            for rule in self._app.url_map.iter_rules()
        ]

    def _policy(self, endpoint: str) -> RoutePolicy:
        return self._declared(self._app.view_functions.get(endpoint), endpoint)

    def _exchange(self) -> Exchange:
        if not has_request_context():
            raise RuntimeError("there is no request here")
        found = request.environ.setdefault(_EXCHANGE, Exchange())
        assert isinstance(found, Exchange)
        return found

    def _before(self) -> Response | None:
        exchange = self._exchange()
        wanted = request.environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD")
        if cors.is_preflight(request.method, request.environ.get("HTTP_ORIGIN"), wanted):
            return self._preflight(exchange, wanted)
        rule = request.url_rule
        if rule is None:  # no such page: Flask's own 404 or 405
            return None
        exchange.route = self._policy(rule.endpoint)
        try:
            grant = self.gate.admit(exchange.route, _guard_request(request.environ))
            self._check_form(exchange.route, grant)
            if grant.token is not None:
                policy.limit_passed(exchange.route, grant.token, self._limiter)
        except (Refused, Unavailable) as no:
            return self._refused(no, rule.endpoint)
        exchange.grant = grant
        return None

    def _check_form(self, route: RoutePolicy, grant: Grant) -> None:
        if not grant.form_due:
            return
        lengths = [limit for limit in (request.max_content_length, route.form_limit) if limit is not None]
        request.max_content_length = min(lengths)
        try:
            fields = request.form.getlist(csrf.FIELD)
        except RequestEntityTooLarge:
            raise policy.form_too_big() from None
        policy.form_matches(grant, fields)

    def _preflight(self, exchange: Exchange, wanted: str | None) -> Response:
        """Answered for the method that is asked about; it says nothing about who may call."""
        adapter = self._app.create_url_adapter(request)
        try:
            endpoint = None if adapter is None else adapter.match(method=wanted)[0]
        except HTTPException:
            endpoint = None
        exchange.route = None if endpoint is None else self._policy(endpoint)
        exchange.preflight = self._answers.preflight(exchange.route, request.environ.get("HTTP_ORIGIN"), wanted)
        return Response(status=204)

    def _refused(self, no: Refused | Unavailable, endpoint: str) -> Response:
        self._note(no, endpoint)
        status, headers, body = answers.refusal(no, html=answers.wants_html(request.environ.get("HTTP_ACCEPT")))
        return Response(body, status, headers)

    def _around(self, inner: WSGIApplication) -> WSGIApplication:
        def guarded(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            exchange = environ[_EXCHANGE] = Exchange()
            origin = environ.get("HTTP_ORIGIN")

            def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Callable[[bytes], object]:
                return start_response(status, self._answers.headers(headers, exchange, origin), *more)

            return inner(environ, start)

        return guarded


def _guard_request(environ: WSGIEnvironment) -> GuardRequest:
    authorization = environ.get("HTTP_AUTHORIZATION")
    return GuardRequest(
        method=environ["REQUEST_METHOD"],
        authorization=() if authorization is None else (authorization,),
        origin=environ.get("HTTP_ORIGIN"),
        sec_fetch_site=environ.get("HTTP_SEC_FETCH_SITE"),
        csrf=environ.get("HTTP_X_CSRF_TOKEN"),
        content_type=environ.get("CONTENT_TYPE", ""),
    )
