"""Flows §3: a stream or WebSocket goes on only as long as its token could open it again.

While an answer streams, a timer asks once a second; when what gave the token was ended, its time is over, or the feed
is not seen, the app's task is cancelled and the stream closed. Plain answers never start the timer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from bartizan.guard.gate import Gate
from bartizan.guard.policy import Grant, Token
from bartizan.protocol.refusal import Unavailable

_EVERY = 1.0
_POLICY_VIOLATION = 1008  # RFC 6455 §7.4.1

Send = Callable[[Any], Awaitable[None]]


class Stream:
    def __init__(self, kind: str, gate: Gate, send: Send) -> None:
        self._kind = kind
        self._gate = gate
        self._send = send
        self._token: Token | None = None
        self._task: asyncio.Task[Any] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._open = False  # something of the stream has been sent, its end has not
        self._cut = False
        self._refuse: Callable[[], Awaitable[None]] | None = None
        self._refused = False

    def only_refusals(self, refuse: Callable[[], Awaitable[None]]) -> None:
        """The router knows no such route: then an error or a redirect may come, never an answer (deny by default)."""
        self._refuse = refuse

    async def run(self, inner: Callable[..., Awaitable[None]], scope: Any, receive: Any, grant: Grant | None) -> None:
        self._token = None if grant is None else grant.token
        self._task = asyncio.current_task()
        try:
            await inner(scope, receive, self.send)
        except asyncio.CancelledError:
            if not self._cut or self._task is None:
                raise
            self._task.uncancel()
            await self._close()
        finally:
            if self._timer is not None:
                self._timer.cancel()

    async def send(self, message: Any) -> None:
        kind = message["type"]
        if self._refused:
            return
        opens = kind == "websocket.accept" or (kind == "http.response.start" and message["status"] < 300)
        if opens and self._refuse is not None:
            refuse, self._refuse = self._refuse, None
            await refuse()
            self._refused = True
            return
        if kind == "websocket.accept" or (kind == "http.response.body" and message.get("more_body", False)):
            self._open = True
            if self._timer is None and self._token is not None:
                self._watch(self._token)
        elif kind in ("websocket.close", "http.response.body"):
            self._open = False
        await self._send(message)

    def _watch(self, token: Token) -> None:
        self._timer = asyncio.get_running_loop().call_later(_EVERY, self._look, token)

    def _look(self, token: Token) -> None:
        try:
            alive = self._gate.alive(token)
        except Unavailable:
            alive = False
        if alive:
            self._watch(token)
        elif self._task is not None:
            self._cut = True
            self._task.cancel()

    async def _close(self) -> None:
        if not self._open:
            return
        if self._kind == "websocket":
            await self._send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": "session ended"})
        else:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
