"""The headers that every answer of our own servers carries, unless it set them itself."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import Scope

from bartizan.protocol.web.csp import NOTHING
from bartizan.protocol.web.headers import NO_STORE, security_headers

Pairs = tuple[tuple[bytes, bytes], ...]


def always(*, https: bool) -> Pairs:
    """In ASGI's spelling. An answer that is no page may load nothing; a page brings its own policy."""
    pairs = (*security_headers(https=https, csp=NOTHING.render()), *NO_STORE)
    return tuple((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs)


ALWAYS = always(https=False)


def completed(present: Iterable[tuple[bytes, bytes]], defaults: Pairs, request_id: bytes) -> list[tuple[bytes, bytes]]:
    """The headers of an answer, and what it did not set. ASGI writes names in lower case."""
    whole = [*present]
    named = {pair[0] for pair in whole}
    whole += [pair for pair in defaults if pair[0] not in named]
    whole.append((b"x-request-id", request_id))
    return whole


def one(scope: Scope, name: bytes) -> str | None:
    """The first header of that name, by a look at the raw ones: Starlette's mapping decodes all of them."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value).decode("latin-1")
    return None


def every(scope: Scope, name: bytes) -> list[str]:
    return [bytes(value).decode("latin-1") for key, value in scope["headers"] if key == name]
