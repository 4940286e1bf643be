"""Design §4, CORS of the auth server: who may read an answer from a page of another origin, as `Route.cors` says.

It stands outermost, so that the headers are on every answer of the route, refusals and defects too. `/authorize` and
the pages have none: a browser goes there, no script reads them.
"""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bartizan.auth.ports import AuthPorts
from bartizan.model.route import Route
from bartizan.protocol.refusal import Unavailable
from bartizan.protocol.web import cors, origins
from bartizan.web.headers import Pairs

PUBLIC = "public"
READ_AGAIN = 2.0  # seconds


class RegisteredOrigins:
    """The origins of all living clients, read again when a page of another origin asks."""

    def __init__(self, ports: AuthPorts) -> None:
        self._ports = ports
        self._held: tuple[str, ...] = ()
        self._read_at = -READ_AGAIN

    async def __call__(self) -> tuple[str, ...]:
        now = asyncio.get_running_loop().time()
        if now - self._read_at >= READ_AGAIN:
            async with self._ports.store.reading() as records:
                named = await records.clients.origins()
            self._held = tuple(sorted(origin for origin in named if _is_origin(origin)))
            self._read_at = now
        return self._held


class Cors:
    def __init__(self, app: ASGIApp, routes: tuple[Route, ...], registered: RegisteredOrigins) -> None:
        self._app = app
        self._routes = {route.path: route for route in routes if route.cors}
        self._registered = registered
        # Most callers are no browsers and name no origin: what they are told is the same each time.
        self._no_origin = {
            path: _raw(cors.response_headers(_of_nobody(row), None)) for path, row in self._routes.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._routes.get(scope["path"]) if scope["type"] == "http" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        origin = _header(scope, b"origin")
        if origin is None:
            await self._app(scope, receive, _adding(send, self._no_origin[route.path]))
            return
        policy = await self._policy(route, origin)
        wanted = _header(scope, b"access-control-request-method")
        if cors.is_preflight(scope["method"], origin, wanted):
            await _answer_preflight(cors.preflight_headers(policy, origin, wanted), send)
            return
        await self._app(scope, receive, _adding(send, _raw(cors.response_headers(policy, origin))))

    async def _policy(self, route: Route, origin: str) -> cors.Cors:
        if route.cors == PUBLIC:
            return cors.PublicRead()
        try:
            registered = await self._registered()
        except Unavailable:  # the answer itself will be 503; no page of another origin learns even that
            registered = ()
        return cors.NamedOrigins(origins=registered, methods=(*route.methods, "HEAD"))


def _of_nobody(route: Route) -> cors.Cors:
    return cors.PublicRead() if route.cors == PUBLIC else cors.NamedOrigins(origins=())


def _raw(headers: cors.Headers) -> Pairs:
    return tuple((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers)


def _adding(send: Send, raw: Pairs) -> Send:
    async def added(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *raw]}
        await send(message)

    return added


async def _answer_preflight(headers: cors.Headers, send: Send) -> None:
    """The gateway answers these; here is the same answer for who reaches us without it."""
    start: Message = {"type": "http.response.start", "status": 204, "headers": []}
    await _adding(send, _raw(headers))(start)
    await send({"type": "http.response.body", "body": b""})


def _header(scope: Scope, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)


def _is_origin(text: str) -> bool:
    try:
        return str(origins.parse(text)) == text
    except ValueError:
        return False
