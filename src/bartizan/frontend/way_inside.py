"""The auth server in this very process, called as what it is, an ASGI app: scope in, answer out, nothing between.

An HTTP client and a socket would cost more than the rotation that is asked for (decision 0010). What stands in front of
the app on its own socket, the gateway, stands in front of the frontend too.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import structlog
from starlette.types import ASGIApp, Message, Scope

from bartizan.frontend.way import ANSWER_LIMIT, NoAnswer, Question, Reply

log = structlog.get_logger()

_BROKEN = Reply(500, (), b"")  # as an HTTP server answers for an app that broke before it said anything


class Inside:
    def __init__(self, app: ASGIApp, id_origin: str) -> None:
        parts = urlsplit(id_origin)
        self._app = app
        self._scheme = parts.scheme
        self._host = (b"host", parts.netloc.encode("ascii"))
        self._running: set[asyncio.Task[None]] = set()  # the loop itself holds tasks by weak references alone

    async def ask(self, question: Question, seconds: float) -> Reply:
        """In a task of its own: it has its own log context, and goes on when the asker no longer waits, so that a
        rotation is never cut between its commit and its log line."""
        loop = asyncio.get_running_loop()
        call = _Call(question.body, loop.create_future())
        task = loop.create_task(call.run(self._app, self._scope(question)))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        late = loop.call_later(seconds, call.fail)
        try:
            return await call.reply
        finally:
            late.cancel()

    def _scope(self, question: Question) -> Scope:
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in question.headers]
        headers += (self._host, (b"content-length", str(len(question.body)).encode("ascii")))
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": question.method,
            "scheme": self._scheme,
            "path": question.path,
            "raw_path": question.path.encode("ascii"),
            "query_string": b"",
            "root_path": "",
            "headers": headers,
            "client": None,
            "server": None,
        }


class _Call:
    """One request as the app sees it, and what it has said so far."""

    def __init__(self, body: bytes, reply: asyncio.Future[Reply]) -> None:
        self.reply = reply
        self._body: bytes | None = body
        self._status = 0
        self._headers: tuple[tuple[bytes, bytes], ...] = ()
        self._said = b""

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        try:
            await app(scope, self._receive, self._send)
        except Exception as error:
            log.error("defect", server="auth", path=scope["path"], exc_info=error)
            if not self._status and not self.reply.done():
                self.reply.set_result(_BROKEN)
        finally:
            self.fail()

    def fail(self) -> None:
        """After the answer it changes nothing."""
        if not self.reply.done():
            self.reply.set_exception(NoAnswer())

    async def _receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await asyncio.wait((self.reply,))
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self.reply.done():
            return
        if message["type"] == "http.response.start":
            self._status, self._headers = message["status"], tuple(message["headers"])
            return
        self._said += message.get("body", b"")
        if len(self._said) > ANSWER_LIMIT:
            self.fail()
        elif not message.get("more_body", False):
            self.reply.set_result(Reply(self._status, self._headers, self._said))
