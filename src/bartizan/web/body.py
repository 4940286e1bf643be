"""Bodies, strictly: the size a route takes, and form fields each named once (RFC 6749 §3.1, §3.2).

A field that comes twice, is not UTF-8, or holds a NUL is refused: two readers could read it differently.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

from msgspec import Struct
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive, Scope

from bartizan.protocol.refusal import Refused
from bartizan.web.headers import one

FORM = "application/x-www-form-urlencoded"
MOST_FIELDS = 64


class TooLarge(Exception):  # noqa: N818 - an answer (413), not a defect
    pass


class Fields(Struct, frozen=True):
    """Parameters by name. `many` holds the few that may come more than once (RFC 8707 `resource`)."""

    one: dict[str, str]
    many: dict[str, tuple[str, ...]]

    def get(self, name: str, default: str = "") -> str:
        return self.one.get(name, default)


def announced_length(scope: Scope) -> int | None:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else None
    return None


def bounded(receive: Receive, limit: int) -> Receive:
    """A `receive` that stops at the limit, whatever length was announced."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > limit:
                raise TooLarge
        return message

    return counted


async def whole(request: Request) -> bytes:
    """The body. It mostly comes as one message, which Starlette's stream takes 8 µs to say."""
    receive = request.receive
    message = await receive()
    body: bytes = message.get("body", b"")
    while message["type"] == "http.request" and message.get("more_body", False):
        message = await receive()
        body += message.get("body", b"")
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return body


def _bad(note: str) -> Refused:
    return Refused("invalid_request", "The request is not well formed.", note)


def parse(raw: bytes, *, repeated: tuple[str, ...] = ()) -> Fields:
    try:
        pairs = parse_qsl(
            raw.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS, separator="&"
        )
    except ValueError as fault:  # UnicodeDecodeError is one, "too many fields" another
        raise _bad(f"fields: {type(fault).__name__}") from None
    one: dict[str, str] = {}
    many: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        if "\0" in name or "\0" in value:
            raise _bad("a NUL in a field")
        if name in repeated:
            many[name] = (*many.get(name, ()), value)
        elif name in one:
            raise _bad(f"field twice: {name[:40]!r}")
        else:
            one[name] = value
    return Fields(one, many)


async def form(request: Request, *, repeated: tuple[str, ...] = ()) -> Fields:
    """The fields of an urlencoded body; any other content type is 415."""
    kind, _, parameters = (one(request.scope, b"content-type") or "").partition(";")
    charset = parameters.strip().lower()
    if kind.strip().lower() != FORM or charset not in ("", "charset=utf-8", 'charset="utf-8"'):
        raise Refused(
            "invalid_request", f"This address takes {FORM}.", f"content type {kind.strip()[:60]!r}", status=415
        )
    return parse(await whole(request), repeated=repeated)


def query(request: Request, *, repeated: tuple[str, ...] = ()) -> Fields:
    raw = request.scope.get("query_string", b"")
    return parse(raw, repeated=repeated)
