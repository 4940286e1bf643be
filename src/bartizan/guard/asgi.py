"""ASGI: a Starlette or FastAPI app, or any other, made a resource server. An adapter; every rule is in `policy`.

    app = Starlette(routes=[Route("/api/photos", photos)])
    guard = Guard(app, issuer=…, audience=…, app_origin=…)

    @guard.scopes("photos.read")
    async def photos(request): ...      # guard.user.sub

Streams and WebSockets are ended within 2 s of the end of what gave their token, and with its own time (flows §3).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.routing import BaseRoute, Match

from bartizan.guard import answers, policy
from bartizan.guard.answers import Exchange
from bartizan.guard.kit import Kit, RouteRow
from bartizan.guard.policy import Grant, GuardRequest, RoutePolicy
from bartizan.guard.streams import Stream
from bartizan.protocol.refusal import Refused, Unavailable
from bartizan.protocol.web import cors, csrf

Scope = Any  # as Starlette types it: a MutableMapping
Message = Any
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Lookup = Callable[[Scope], RoutePolicy | None]  # None: there is no such route, the app says 404

_current: ContextVar[Exchange] = ContextVar("bartizan_exchange")


class Guard(Kit[Starlette]):
    """`public` names routes (their `name`) that you cannot decorate, such as mounted static files."""

    def init_app(self, app: Starlette) -> None:
        """Outermost, around Starlette's own error handling too, so that a 500 has its headers."""
        self._app = app
        build = app.build_middleware_stack

        def guarded() -> App:
            return self.around(build(), lambda scope: self._find(self._tree(), scope))

        app.build_middleware_stack = guarded  # type: ignore[method-assign]  # the stack is built once, at the start

    def routes(self) -> list[RouteRow]:
        return list(self._rows(self._tree(), ""))

    def _tree(self) -> Iterable[BaseRoute]:
        """The routes in the order in which the app tries them."""
        return self._app.routes

    def _rows(self, routes: Iterable[BaseRoute], prefix: str) -> Iterable[RouteRow]:
        for route in routes:
            path = prefix + getattr(route, "path", "")
            name = getattr(route, "name", None) or path
            inner = getattr(route, "routes", None)
            if inner:
                yield from self._rows(inner, path)
            else:
                view = getattr(route, "endpoint", getattr(route, "app", None))
                methods = tuple(sorted(getattr(route, "methods", None) or ()))
                yield RouteRow(path, methods, name, self._declared(view, name))

    def _find(self, routes: Iterable[BaseRoute], scope: Scope) -> RoutePolicy | None:
        """What the route declares that Starlette will choose: the first full match. None: its own 404 or 405."""
        for route in routes:
            match, child = route.matches(scope)
            if match is Match.FULL:
                inner = getattr(route, "routes", None)
                if inner:
                    return self._find(inner, {**scope, **child})
                return self._declared(child.get("endpoint"), getattr(route, "name", None))
        return None

    def _exchange(self) -> Exchange:
        return _current.get()

    def around(self, inner: App, lookup: Lookup) -> App:
        """For an app that is no Starlette: `lookup` says what a request's route declares."""

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] not in ("http", "websocket"):  # lifespan
                await inner(scope, receive, send)
                return
            exchange = Exchange()
            _current.set(exchange)
            headers = _Headers(scope)
            stream = Stream(scope["type"], self.gate, self._with_headers(send, exchange, headers.one("origin")))
            if self._is_preflight(scope, headers):
                await self._answer_preflight(scope, headers, exchange, lookup, stream.send)
                return
            exchange.route = lookup(scope)
            try:
                receive = await self._checked(scope, receive, headers, exchange)
            except (Refused, Unavailable) as no:
                self._note(no, scope["path"])
                await _refuse(no, scope, headers, stream.send)
                return
            if exchange.route is None:
                stream.only_refusals(lambda: _refuse(policy.undeclared(), scope, headers, stream.send))
            await stream.run(inner, scope, receive, exchange.grant)

        return guarded

    async def _checked(self, scope: Scope, receive: Receive, headers: _Headers, exchange: Exchange) -> Receive:
        """Sets the grant; gives the `receive` for the app, which replays a body that was read for its `_csrf`."""
        route = exchange.route
        if route is None:
            return receive
        grant = await self.gate.admit_async(route, guard_request(scope))
        if grant.form_due:
            receive = await _form_checked(scope, receive, route, grant)
        if grant.token is not None:
            policy.limit_passed(route, grant.token, self._limiter)
        exchange.grant = grant
        return receive

    def _is_preflight(self, scope: Scope, headers: _Headers) -> bool:
        wanted = headers.one("access-control-request-method")
        return scope["type"] == "http" and cors.is_preflight(scope["method"], headers.one("origin"), wanted)

    async def _answer_preflight(
        self, scope: Scope, headers: _Headers, exchange: Exchange, lookup: Lookup, send: Send
    ) -> None:
        wanted = headers.one("access-control-request-method") or ""
        exchange.route = lookup({**scope, "method": wanted})
        exchange.preflight = self._answers.preflight(exchange.route, headers.one("origin"), wanted)
        await _send_answer(send, 204, [], b"")

    def _with_headers(self, send: Send, exchange: Exchange, origin: str | None) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                sent = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message.get("headers", ())]
                message = {**message, "headers": _encoded(self._answers.headers(sent, exchange, origin))}
            await send(message)

        return sending


class _Headers:
    """The few headers that the rules read. A header sent twice comes joined, and then matches nothing."""

    def __init__(self, scope: Scope) -> None:
        self._all: list[tuple[bytes, bytes]] = list(scope["headers"])

    def every(self, name: str) -> tuple[str, ...]:
        wanted = name.encode()
        return tuple(value.decode("latin-1") for key, value in self._all if key == wanted)

    def one(self, name: str) -> str | None:
        values = self.every(name)
        return ", ".join(values) if values else None


def guard_request(scope: Scope) -> GuardRequest:
    """What the rules look at of an ASGI request, for who asks a Gate directly."""
    headers = _Headers(scope)
    return GuardRequest(
        method=scope.get("method", "GET"),
        authorization=headers.every("authorization"),
        origin=headers.one("origin"),
        sec_fetch_site=headers.one("sec-fetch-site"),
        csrf=headers.one("x-csrf-token"),
        content_type=headers.one("content-type") or "",
        websocket=scope["type"] == "websocket",
    )


async def _form_checked(scope: Scope, receive: Receive, route: RoutePolicy, grant: Grant) -> Receive:
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise policy.csrf_refused("gone before the form was read")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > route.form_limit:
            raise policy.form_too_big()
    whole = {"type": "http.request", "body": bytes(body), "more_body": False}
    form = await Request(dict(scope), _replay(whole, receive)).form()
    fields = [value for value in form.getlist(csrf.FIELD) if not isinstance(value, UploadFile)]
    await form.close()
    policy.form_matches(grant, fields)
    return _replay(whole, receive)


def _replay(message: Message, then: Receive) -> Receive:
    waiting = [message]

    async def receive() -> Message:
        return waiting.pop() if waiting else await then()

    return receive


async def _refuse(no: Refused | Unavailable, scope: Scope, headers: _Headers, send: Send) -> None:
    status, answer_headers, body = answers.refusal(no, html=answers.wants_html(headers.one("accept")))
    if scope["type"] == "http":
        await _send_answer(send, status, answer_headers, body)
    elif "websocket.http.response" in scope.get("extensions", {}):
        await _send_answer(send, status, answer_headers, body, kind="websocket.http.response")
    else:
        await send({"type": "websocket.close", "code": 1008})  # before accept: the server answers 403


async def _send_answer(
    send: Send, status: int, headers: list[tuple[str, str]], body: bytes, kind: str = "http.response"
) -> None:
    await send({"type": f"{kind}.start", "status": status, "headers": _encoded(headers)})
    await send({"type": f"{kind}.body", "body": body})


def _encoded(headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
