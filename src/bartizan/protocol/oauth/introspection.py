"""RFC 7662 §2.2: what an authenticated client may learn of a token. Everything it may not know is `active: false`."""

from __future__ import annotations

from bartizan.protocol.oauth import access, scopes
from bartizan.protocol.oauth.access import AccessToken
from bartizan.protocol.oauth.registered import Registered

INACTIVE: dict[str, object] = {"active": False}
# Of a token's claims: what ends it and its CSRF value are not for others.
_TOLD = ("iss", "sub", "aud", "client_id", "scope", "iat", "exp", "jti", "auth_time")


def may_ask(client: Registered, token: AccessToken) -> bool:
    """§4: its own tokens, and those meant for a resource that it was registered for."""
    return token.client_id == client.id or not set(token.audience).isdisjoint(client.audience)


def of_access_token(token: AccessToken) -> dict[str, object]:
    held = access.claims(token)
    told = {name: held[name] for name in _TOLD if name in held}
    return {"active": True, "token_type": "Bearer"} | told


def of_refresh_token(
    *, issuer: str, subject: str, client_id: str, granted: tuple[str, ...], issued_at: int, expires_at: int
) -> dict[str, object]:
    return {
        "active": True,
        "token_type": "refresh_token",
        "iss": issuer,
        "sub": subject,
        "client_id": client_id,
        "scope": scopes.render(granted),
        "iat": issued_at,
        "exp": expires_at,
    }
