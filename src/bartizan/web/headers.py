"""The headers that every answer of our own servers carries, unless it set them itself."""

from __future__ import annotations

from starlette.types import Message, Send

from bartizan.protocol.web.csp import NOTHING
from bartizan.protocol.web.headers import NO_STORE, security_headers

Pairs = tuple[tuple[bytes, bytes], ...]


def always(*, https: bool) -> Pairs:
    """In ASGI's spelling. An answer that is no page may load nothing; a page brings its own policy."""
    pairs = (*security_headers(https=https, csp=NOTHING.render()), *NO_STORE)
    return tuple((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs)


ALWAYS = always(https=False)


def completing(send: Send, defaults: Pairs, request_id: str) -> Send:
    """A `send` that adds what the answer did not set."""

    async def complete(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = [*message.get("headers", ())]
            named = {name.lower() for name, _ in present}
            present += [pair for pair in defaults if pair[0] not in named]
            present.append((b"x-request-id", request_id.encode("latin-1")))
            message = {**message, "headers": present}
        await send(message)

    return complete
