"""RFC 7662 §2.2: what an authenticated client may learn of a token. Everything it may not know is `active: false`."""

from __future__ import annotations

from bartizan.protocol.oauth import scopes
from bartizan.protocol.oauth.access import AccessToken
from bartizan.protocol.oauth.registered import Registered

INACTIVE: dict[str, object] = {"active": False}


def may_ask(client: Registered, token: AccessToken) -> bool:
    """§4: its own tokens, and those meant for a resource that it was registered for."""
    return token.client_id == client.id or not set(token.audience).isdisjoint(client.audience)


def of_access_token(token: AccessToken) -> dict[str, object]:
    answer: dict[str, object] = {
        "active": True,
        "token_type": "Bearer",
        "iss": token.issuer,
        "sub": token.subject,
        "aud": token.audience,
        "client_id": token.client_id,
        "scope": scopes.render(token.scopes),
        "iat": token.issued_at,
        "exp": token.expires_at,
        "jti": token.jti,
    }
    if token.auth_time is not None:
        answer["auth_time"] = token.auth_time
    return answer


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
