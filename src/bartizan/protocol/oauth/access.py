"""RFC 9068: the access token's claims. `gid` says what can end it; `csrf` makes it a cookie token (F§2)."""

from __future__ import annotations

from msgspec import Struct

from bartizan.protocol.oauth import scopes

TYP = "at+jwt"


class AccessToken(Struct, frozen=True, kw_only=True):
    issuer: str
    subject: str
    audience: tuple[str, ...]
    client_id: str
    scopes: tuple[str, ...]
    issued_at: int
    expires_at: int
    jti: str
    gid: str  # the family's id, or the jti where there is no family
    auth_time: int | None = None
    csrf: str | None = None


def claims(token: AccessToken) -> dict[str, object]:
    """§2.2. No personal data: the subject is a pseudonym."""
    made: dict[str, object] = {
        "iss": token.issuer,
        "sub": token.subject,
        "aud": token.audience,
        "client_id": token.client_id,
        "scope": scopes.render(token.scopes),
        "iat": token.issued_at,
        "exp": token.expires_at,
        "jti": token.jti,
        "gid": token.gid,
    }
    if token.auth_time is not None:
        made["auth_time"] = token.auth_time
    if token.csrf is not None:
        made["csrf"] = token.csrf
    return made


def read(made: dict[str, object]) -> AccessToken | None:
    """Claims of a token whose signature, times and issuer held, as a value; None when a claim has another type."""
    audience, scope, auth_time, csrf = made.get("aud"), made.get("scope"), made.get("auth_time"), made.get("csrf")
    issued_at, expires_at = made.get("iat"), made.get("exp")
    texts = [made.get(name) for name in ("iss", "sub", "client_id", "jti", "gid")]
    if not (isinstance(audience, list) and isinstance(scope, str) and isinstance(issued_at, int)):
        return None
    if not isinstance(expires_at, int) or not all(isinstance(text, str) for text in texts):
        return None
    issuer, subject, client_id, jti, gid = (str(text) for text in texts)
    return AccessToken(
        issuer=issuer,
        subject=subject,
        audience=tuple(str(one) for one in audience),
        client_id=client_id,
        scopes=tuple(scope.split()),
        issued_at=issued_at,
        expires_at=expires_at,
        jti=jti,
        gid=gid,
        auth_time=auth_time if isinstance(auth_time, int) else None,
        csrf=csrf if isinstance(csrf, str) else None,
    )
