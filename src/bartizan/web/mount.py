"""Route rows → one thin ASGI app: the refusals, body limits, headers and request ids of all our servers.

Not Starlette's router: on one pinned core its stack costs twice a raw ASGI hop (design §3). Its Request and
Response are kept, so endpoints are ordinary `async (Request) -> Response`.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import cast

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bartizan.model.meter import Meter
from bartizan.model.route import Route
from bartizan.protocol.refusal import Refused, Replayed, Unavailable
from bartizan.web import failure as failures
from bartizan.web.body import TooLarge, announced_length, bounded
from bartizan.web.caller import take_request_id
from bartizan.web.failure import Failure, FailurePage, plain_page
from bartizan.web.headers import ALWAYS, Pairs, completed, one
from bartizan.web.lifespan import nothing_to_start
from bartizan.web.paths import Paths

# Answers are ASGI apps: Starlette's Response, or one of bytes that are ready (web/ready.py).
Endpoint = Callable[[Request], Awaitable[ASGIApp]]

log = structlog.get_logger()


def mount(
    routes: tuple[Route, ...],
    *,
    server: str,
    page: FailurePage = plain_page,
    headers: Pairs = ALWAYS,
    meter: Meter | None = None,
) -> ASGIApp:
    """`page` renders failures for people; `headers` are those that every answer carries."""
    return _Mounted(Paths(routes), server, page, headers, meter)


class _Mounted:
    def __init__(
        self,
        paths: Paths,
        server: str,
        page: FailurePage,
        headers: Pairs,
        meter: Meter | None,
    ) -> None:
        self._paths = paths
        self._server = server
        self._page = page
        self._headers = headers
        self._meter = meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await nothing_to_start(receive, send)
            return
        if scope["type"] != "http":  # no server of ours speaks WebSocket; apps behind the gateway do that themselves
            await send({"type": "websocket.close", "code": 1000})
            return
        begun = time.perf_counter()
        request_id = take_request_id(one(scope, b"x-request-id"))
        scope["bartizan.request_id"] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)
        state = _Sent(send, self._headers, request_id)
        route: Route | None = None
        try:
            route, allowed = self._route(scope)
            receive = bounded(receive, route.body_limit) if route is not None and not route.stream else receive
            request = Request(scope, receive)
            response = await self._answer(request, route, allowed)
            await response(scope, receive, state)
        except ClientDisconnect:
            pass  # nobody is left to tell
        except Exception as error:
            await self._fail(error, scope, receive, state, route)
        finally:
            structlog.contextvars.unbind_contextvars("request_id")
            self._measure(route, state.status, time.perf_counter() - begun)

    def _route(self, scope: Scope) -> tuple[Route | None, tuple[str, ...]]:
        """The row, or None and the methods that the path does answer to (none: unknown path)."""
        found = self._paths.find(scope["path"])
        if found is None:
            return None, ()
        methods, scope["path_params"] = found
        route = methods.get(scope["method"])
        return route, () if route is not None else tuple(sorted(methods))

    async def _answer(self, request: Request, route: Route | None, allowed: tuple[str, ...]) -> ASGIApp:
        if route is None:
            if allowed:
                return self._say(request, None, failures.wrong_method(allowed))
            return self._say(request, None, failures.NOT_FOUND)
        length = announced_length(request.scope)
        if not route.stream and length is not None and length > route.body_limit:
            return self._say(request, route, failures.TOO_LARGE)
        endpoint = cast("Endpoint", route.endpoint)
        try:
            return await endpoint(request)
        except TooLarge:
            return self._say(request, route, failures.TOO_LARGE)
        except (Refused, Replayed, Unavailable) as refusal:
            _note(refusal, request, route)
            return self._say(request, route, failures.failure_of(refusal))

    def _say(self, request: Request, route: Route | None, failure: Failure) -> Response:
        if failures.speaks_json(request, route):
            return failures.as_json(failure, route)
        dressed = Failure(
            status=failure.status,
            code=failure.code,
            tell=failure.tell,
            headers=failure.headers,
            request_id=str(request.scope["bartizan.request_id"]),
        )
        return self._page(request, dressed)

    async def _fail(self, error: Exception, scope: Scope, receive: Receive, send: _Sent, route: Route | None) -> None:
        if isinstance(error, (TooLarge, Refused, Replayed, Unavailable)):  # while the answer was being streamed
            failure = failures.TOO_LARGE if isinstance(error, TooLarge) else failures.failure_of(error)
        else:
            log.error("defect", server=self._server, path=route.path if route else "", exc_info=error)
            failure = failures.DEFECT
        if send.status == 0:
            request = Request(scope, receive)
            try:
                response = self._say(request, route, failure)
            except Exception as second:  # the page itself is broken: say it plainly
                log.error("defect", server=self._server, path="the failure page", exc_info=second)
                response = plain_page(request, failure)
            await response(scope, receive, send)
        else:
            raise error  # the head has gone: cutting the connection is the only way left to say no

    def _measure(self, route: Route | None, status: int, seconds: float) -> None:
        if self._meter is None:
            return
        path = route.path if route is not None else "none"
        self._meter.count("requests", server=self._server, route=path, status=str(status))
        self._meter.observe("request", seconds, server=self._server, route=path)


class _Sent:
    """A `send` that completes the head, and remembers whether it has gone, and with which status."""

    __slots__ = ("_headers", "_request_id", "_send", "status")

    def __init__(self, send: Send, headers: Pairs, request_id: str) -> None:
        self._send = send
        self._headers = headers
        self._request_id = request_id
        self.status = 0

    async def __call__(self, message: Message) -> None:
        # failpoint: answer.sending
        if message["type"] == "http.response.start":
            self.status = message["status"]
            whole = completed(message.get("headers", ()), self._headers, self._request_id.encode("latin-1"))
            message = {**message, "headers": whole}
        await self._send(message)


def _note(refusal: Exception, request: Request, route: Route) -> None:
    if isinstance(refusal, Unavailable):
        log.warning("unavailable", what=refusal.what, path=route.path)
    elif isinstance(refusal, Replayed):
        log.warning("replayed", note=refusal.note, path=route.path, gid=str(refusal.family))
    elif isinstance(refusal, Refused):
        log.info("refused", code=refusal.code, note=refusal.note, path=route.path, method=request.method)
