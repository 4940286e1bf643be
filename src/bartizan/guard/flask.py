"""Flask: an ordinary app made a resource server. An adapter; every rule is in `policy`.

    app = Flask(__name__)
    guard = Guard(app, issuer="https://id.example.com", audience="https://app.example.com",
                  app_origin="https://app.example.com", public=("static",))

    @app.get("/api/photos")
    @guard.scopes("photos.read")
    def photos(): ...          # guard.user.sub, guard.user.scopes, guard.user.claims

Every route must declare who may call it; what declares nothing is refused, and named in the log. In templates:
`{{ csp_nonce() }}` for inline script and style elements, `{{ csrf_field() }}` in a form whose route has `csrf="form"`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, has_request_context, request
from markupsafe import Markup, escape
from msgspec import Struct
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from bartizan.guard import answers, policy
from bartizan.guard.answers import Answers, Exchange
from bartizan.guard.declare import PUBLIC, UNDECLARED, Declaring, policy_of
from bartizan.guard.gate import Gate, Source
from bartizan.guard.keys import Watch
from bartizan.guard.limiter import InProcess, Limiter
from bartizan.guard.policy import Denied, Grant, GuardRequest, Resource, RoutePolicy, Token, Who
from bartizan.protocol.refusal import Refused, Unavailable
from bartizan.protocol.web import cors, csrf
from bartizan.protocol.web.cors import NamedOrigins
from bartizan.protocol.web.csp import Policy
from bartizan.protocol.web.limits import Per

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_EXCHANGE = "bartizan.guard"
_log = logging.getLogger("bartizan.guard")


class RouteRow(Struct, frozen=True):
    """One route of the app and what it declares, for lists and checks."""

    rule: str
    methods: tuple[str, ...]
    endpoint: str
    policy: RoutePolicy


class Guard(Declaring):
    """`public`: endpoints that you cannot decorate, as Flask's own "static". `csp`: sources added to the strict policy,
    or a whole one. `cors_origins`: who may read every route by a bearer token; `@guard.cors(…)` is for one route.
    `limiter` counts `@guard.limit`, in this process if none is given. `source` replaces network keys (tests).
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        issuer: str,
        audience: str,
        app_origin: str,
        csp: Policy | Mapping[str, Iterable[str]] | None = None,
        cors_origins: Iterable[str] = (),
        public: Iterable[str] = (),
        limiter: Limiter | None = None,
        source: Source | None = None,
        realm: str = "api",
    ) -> None:
        resource = Resource(issuer=issuer, audience=audience, app_origin=app_origin, realm=realm)
        named = tuple(cors_origins)
        self.gate = Gate(resource, source if source is not None else Watch(issuer))
        self._answers = Answers(
            app_origin=app_origin, csp=csp, cors_policy=NamedOrigins(origins=named) if named else None
        )
        self._public = frozenset(public)
        self._limiter: Limiter = limiter if limiter is not None else InProcess()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Takes the app under guard: its check runs before every other hook, its headers go on every answer."""
        app.before_request_funcs.setdefault(None, []).insert(0, lambda: self._before(app))
        app.wsgi_app = self._around(app.wsgi_app)  # type: ignore[method-assign, assignment]  # how Flask wants to be wrapped
        app.jinja_env.globals.update(csp_nonce=self.csp_nonce, csrf_field=self.csrf_field)
        app.extensions["bartizan.guard"] = self
        self._unnamed = True

    # What handlers and templates read

    @property
    def user(self) -> Token:
        """Who calls. On a public route there is nobody, and asking is a defect."""
        token = self.maybe_user
        if token is None:
            raise RuntimeError(
                "nobody is signed in here: the route is public, or optional and was called without a token"
            )
        return token

    @property
    def maybe_user(self) -> Token | None:
        grant = _exchange().grant
        return None if grant is None else grant.token

    def csp_nonce(self) -> str:
        return _exchange().csp_nonce()

    def csrf_field(self) -> Markup:
        """The hidden field of a plain form. Empty for a token that needs no CSRF value."""
        token = self.maybe_user
        value = "" if token is None or token.csrf is None else token.csrf
        return Markup('<input type="hidden" name="{}" value="{}">').format(csrf.FIELD, escape(value))

    def routes(self, app: Flask) -> list[RouteRow]:
        """Each route and what it declares."""
        return [
            RouteRow(rule.rule, tuple(sorted(rule.methods or ())), rule.endpoint, self._policy(app, rule.endpoint))
            for rule in app.url_map.iter_rules()
        ]

    # The check

    def _policy(self, app: Flask, endpoint: str) -> RoutePolicy:
        declared = policy_of(app.view_functions.get(endpoint))
        return PUBLIC if declared is UNDECLARED and endpoint in self._public else declared

    def _before(self, app: Flask) -> Response | None:
        exchange = _exchange()
        wanted = request.environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD")
        if cors.is_preflight(request.method, request.environ.get("HTTP_ORIGIN"), wanted):
            return self._preflight(app, exchange, wanted)
        rule = request.url_rule
        if rule is None:  # no such page: Flask's own 404 or 405
            return None
        exchange.route = self._policy(app, rule.endpoint)
        try:
            grant = self.gate.admit(exchange.route, _guard_request(request.environ))
            self._check_form(exchange.route, grant)
            self._check_limit(exchange.route, grant, rule.endpoint)
        except (Refused, Unavailable) as no:
            return self._refused(app, no, rule.endpoint)
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
            tell = "the form is too big: send it by script with X-CSRF-Token"
            raise Denied("too_large", tell, "form over its limit", 413) from None
        policy.form_matches(grant, fields)

    def _check_limit(self, route: RoutePolicy, grant: Grant, endpoint: str) -> None:
        if route.limit is None or grant.token is None:
            return
        who = grant.token.sub if route.limit.per is Per.USER else grant.token.client_id
        wait = self._limiter(f"{endpoint}:{who}", route.limit)
        if wait > 0:
            raise Denied(
                "rate_limited", "too many tries", f"over {route.limit}", 429, (("Retry-After", f"{wait:.0f}"),)
            )

    def _preflight(self, app: Flask, exchange: Exchange, wanted: str | None) -> Response:
        """Answered for the method that is asked about; it says nothing about who may call."""
        adapter = app.create_url_adapter(request)
        try:
            endpoint = None if adapter is None else adapter.match(method=wanted)[0]
        except HTTPException:
            endpoint = None
        exchange.route = None if endpoint is None else self._policy(app, endpoint)
        exchange.preflight = self._answers.preflight(exchange.route, request.environ.get("HTTP_ORIGIN"), wanted)
        return Response(status=204)

    def _refused(self, app: Flask, no: Refused | Unavailable, endpoint: str) -> Response:
        if isinstance(no, Denied) and no.code == "undeclared" and self._unnamed:
            self._unnamed = False
            open_routes = sorted({row.endpoint for row in self.routes(app) if row.policy.who is Who.UNDECLARED})
            _log.error("refused, as they declare no policy: %s", ", ".join(open_routes))
        _log.info("refused %s: %s", endpoint, no.note if isinstance(no, Refused) else no)
        status, headers, body = answers.refusal(no, html=answers.wants_html(request.environ.get("HTTP_ACCEPT")))
        return Response(body, status, headers)

    # The headers

    def _around(self, inner: WSGIApplication) -> WSGIApplication:
        def guarded(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            exchange = environ[_EXCHANGE] = Exchange()
            origin = environ.get("HTTP_ORIGIN")

            def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Callable[[bytes], object]:
                return start_response(status, self._answers.headers(headers, exchange, origin), *more)

            return inner(environ, start)

        return guarded


def _exchange() -> Exchange:
    if not has_request_context():
        raise RuntimeError("there is no request here")
    found = request.environ.setdefault(_EXCHANGE, Exchange())
    assert isinstance(found, Exchange)
    return found


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
