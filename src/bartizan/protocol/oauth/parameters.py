"""OAuth 2.1 §3.1, §3.2, appendix B: parameters, parsed once. Repeated: refused; empty: absent; unknown: ignored."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from bartizan.protocol.oauth.errors import no

MOST_PARAMETERS = 64
LONGEST_NAME = 128
LONGEST_VALUE = 4096
LONGEST_QUERY = 8192
FORM = "application/x-www-form-urlencoded"

_MAY_REPEAT = "resource"  # RFC 8707 §2: the one parameter of ours that may be sent more than once
_HEX = frozenset(b"0123456789abcdefABCDEF")

# What belongs in a POST body and is refused in the query beside it (OAuth 2.1 §2.4.1: no secret in a URL).
BODY_ONLY = frozenset(
    (
        "access_token",
        "client_assertion",
        "client_assertion_type",
        "client_id",
        "client_secret",
        "code",
        "code_verifier",
        "grant_type",
        "password",
        "redirect_uri",
        "refresh_token",
        "request",
        "request_uri",
        "scope",
        "token",
        "token_type_hint",
        "username",
    )
)


class Parameters(Struct, frozen=True):
    """What was sent, each name once."""

    values: dict[str, str]
    resource: tuple[str, ...] = ()

    def get(self, name: str, *, longest: int = LONGEST_VALUE) -> str | None:
        """A value of visible ASCII (appendix A: VSCHAR), or None when it is absent or empty."""
        value = self.values.get(name)
        if value is None:
            return None
        if len(value) > longest or not value.isascii():
            raise no("invalid_request", f"{name} is too long or not ASCII")
        return value

    def text(self, name: str, *, longest: int) -> str | None:
        """A value that may hold any printable character."""
        value = self.values.get(name)
        if value is not None and len(value) > longest:
            raise no("invalid_request", f"{name} is too long")
        return value

    def require(self, name: str, *, longest: int = LONGEST_VALUE) -> str:
        value = self.get(name, longest=longest)
        if value is None:
            raise no("invalid_request", f"{name} is missing")
        return value


def from_query(raw: bytes) -> Parameters:
    """The query string of a request, as the bytes that came."""
    if len(raw) > LONGEST_QUERY:
        raise no("invalid_request", "the query is too long")
    return _parse(raw)


def from_form(content_types: list[str], body: bytes, query: bytes) -> Parameters:
    """The body of a POST; what belongs there and stands in the query is refused."""
    if len(content_types) != 1 or not _is_form(content_types[0]):
        raise no("invalid_request", f"the body is not one {FORM}")
    if query:
        sent_in_query = from_query(query)
        misplaced = BODY_ONLY & sent_in_query.values.keys()
        if misplaced or sent_in_query.resource:
            raise no("invalid_request", f"in the query, not in the body: {sorted(misplaced)}")
    return _parse(body)


def _is_form(content_type: str) -> bool:
    kind, _, options = content_type.partition(";")
    charset = options.strip().lower()
    return kind.strip().lower() == FORM and charset in ("", "charset=utf-8", 'charset="utf-8"')


def _parse(raw: bytes) -> Parameters:
    values: dict[str, str] = {}
    resource: list[str] = []
    seen: set[str] = set()
    for name, value in _pairs(raw):
        if name == _MAY_REPEAT:
            if value:
                resource.append(value)
            continue
        if name in seen:
            raise no("invalid_request", "a parameter is repeated")
        seen.add(name)
        if value:
            values[name] = value
    return Parameters(values, tuple(resource))


def _pairs(raw: bytes) -> Iterator[tuple[str, str]]:
    pieces = raw.split(b"&")
    if len(pieces) > MOST_PARAMETERS:
        raise no("invalid_request", "too many parameters")
    plain = _plain(raw)
    if plain is not None:
        yield from plain
        return
    for piece in pieces:
        if not piece:
            continue
        name, _, value = piece.partition(b"=")
        yield _decode(name, LONGEST_NAME), _decode(value, LONGEST_VALUE)


def _plain(raw: bytes) -> list[tuple[str, str]] | None:
    """What most programs send: nothing to decode, nothing too long. It is read in one go; the rest piece by piece."""
    if len(raw) > LONGEST_VALUE or not raw.isascii() or b"%" in raw or b"+" in raw:
        return None
    text = raw.decode("ascii")
    if not text.isprintable():
        return None
    parts = [piece.partition("=") for piece in text.split("&") if piece]
    return [(name, value) for name, _, value in parts] if all(len(part[0]) <= LONGEST_NAME for part in parts) else None


def _decode(raw: bytes, longest: int) -> str:
    """Percent-decoding that refuses what it cannot read, decodes once, and lets no control character in."""
    if len(raw) > 3 * longest:  # one character may take three bytes of the wire
        raise no("invalid_request", "a parameter is too long")
    if b"+" in raw:
        raw = raw.replace(b"+", b" ")
    if b"%" in raw:
        for part in raw.split(b"%")[1:]:
            if len(part) < 2 or part[0] not in _HEX or part[1] not in _HEX:
                raise no("invalid_request", "a parameter is not percent-encoded")
        raw = unquote_to_bytes(raw)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise no("invalid_request", "a parameter is not UTF-8") from None
    if len(text) > longest:
        raise no("invalid_request", "a parameter is too long")
    if not text.isprintable():  # control characters, line separators, private use
        raise no("invalid_request", "a parameter holds a control character")
    return text
