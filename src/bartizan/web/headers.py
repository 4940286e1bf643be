"""The headers that every answer of our own servers carries, unless it set them itself.

Referrer-Policy is never `no-referrer`: a same-origin form would then post `Origin: null` (flows §3, tried).
"""

from __future__ import annotations

from starlette.types import Message, Send

Pairs = tuple[tuple[bytes, bytes], ...]

ALWAYS: Pairs = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"content-security-policy", b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)


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
