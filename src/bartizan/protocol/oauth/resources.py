"""RFC 8707 §2: which resource a token is for. A client names some of what it was registered for, or gets the first."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from bartizan.protocol.oauth.errors import no

MOST = 8


def choose(asked: Sequence[str], allowed: Sequence[str], default: str) -> tuple[str, ...]:
    """The audience of the tokens: what was asked of what is allowed, or the default."""
    if not asked:
        return (allowed[0] if allowed else default,)
    reach = set(allowed) or {default}
    if len(asked) > MOST or not all(_absolute(uri) and uri in reach for uri in asked):
        raise no("invalid_target", "a resource is not well formed or not open to this client")
    return tuple(dict.fromkeys(asked))


def narrow(asked: Sequence[str], granted: Sequence[str]) -> tuple[str, ...]:
    """At the token endpoint (§2.2): a part of what the grant covers, or all of it."""
    if not asked:
        return tuple(granted)
    if len(asked) > MOST or not set(asked) <= set(granted):
        raise no("invalid_target", "a resource is not part of the grant")
    return tuple(dict.fromkeys(asked))


def _absolute(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
    except ValueError:
        return False
    return bool(parts.scheme) and "#" not in uri and uri.isascii()
