"""OAuth 2.1 §4.1.1: the authorization request, parsed once and checked against what the client registered."""

from __future__ import annotations

from msgspec import Struct

from bartizan.protocol.oauth.redirects import CheckedRedirect


class AuthorizationRequest(Struct, frozen=True, kw_only=True):
    """A checked request: the value that PAR keeps, that an interaction carries, and that a code is made from."""

    client_id: str
    redirect: CheckedRedirect
    scopes: tuple[str, ...]
    code_challenge: str  # S256, always
    audience: tuple[str, ...]  # RFC 8707 `resource`, or the client's default
    state: str | None = None
    nonce: str | None = None
    prompt: tuple[str, ...] = ()  # of: none | login | consent | select_account | create
    max_age: int | None = None  # seconds
    login_hint: str | None = None  # prefill of the identifier field
    csrf: str | None = None  # `bz_csrf`: a cookie-mode BFF asks for cookie tokens
