"""An answer whose bytes are ready. Starlette's Response encodes, counts and checks for 15 µs what is known here."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import Receive, Scope, Send

from bartizan.web.headers import Pairs


class Ready:
    __slots__ = ("_body", "_headers", "_status")

    def __init__(self, status: int, headers: Pairs, body: bytes) -> None:
        """`headers` as ASGI writes them, without the length."""
        self._status = status
        self._headers = headers
        self._body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [*self._headers, (b"content-length", b"%d" % len(self._body))]
        await send({"type": "http.response.start", "status": self._status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else self._body
        await send({"type": "http.response.body", "body": body})


def pairs(headers: Mapping[str, str], media_type: str) -> Pairs:
    """In ASGI's spelling."""
    named = ((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items())
    return (*named, (b"content-type", media_type.encode("latin-1")))
