"""OAuth 2.1 §4.1.2, RFC 9207: the answer that travels back through the browser, always with `iss`."""

from __future__ import annotations

from urllib.parse import quote_plus

from bartizan.protocol.oauth.errors import ERRORS
from bartizan.protocol.oauth.redirects import CheckedRedirect


def granted(redirect: CheckedRedirect, *, code: str, state: str | None, issuer: str) -> str:
    return _location(redirect, {"code": code, "state": state, "iss": issuer})


def refused(redirect: CheckedRedirect, *, error: str, state: str | None, issuer: str) -> str:
    told = ERRORS[error].tell
    return _location(redirect, {"error": error, "error_description": told, "state": state, "iss": issuer})


def _location(redirect: CheckedRedirect, parameters: dict[str, str | None]) -> str:
    """The registered URI keeps its own query; `registrable` has seen to it that no name stands there twice."""
    query = "&".join(f"{name}={quote_plus(value)}" for name, value in parameters.items() if value is not None)
    return f"{redirect.uri}{'&' if '?' in redirect.uri else '?'}{query}"
