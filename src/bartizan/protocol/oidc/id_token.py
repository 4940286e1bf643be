"""OIDC Core §2: the ID token, said to the client alone. The first one carries what the scopes open (§5.4)."""

from __future__ import annotations

from msgspec import Struct, field

TYP = "JWT"


class IdToken(Struct, frozen=True, kw_only=True):
    issuer: str
    subject: str
    client_id: str
    issued_at: int
    expires_at: int
    auth_time: int
    nonce: str | None = None  # in the first one only (§12.2 leaves it open for refreshed ones)
    sid: str | None = None  # the sign-on session, so that a logout can name it
    personal: dict[str, object] = field(default_factory=dict)  # `claims.of_person`


def claims(token: IdToken) -> dict[str, object]:
    made: dict[str, object] = {
        **token.personal,
        "iss": token.issuer,
        "sub": token.subject,
        "aud": token.client_id,
        "iat": token.issued_at,
        "exp": token.expires_at,
        "auth_time": token.auth_time,
    }
    if token.nonce is not None:
        made["nonce"] = token.nonce
    if token.sid is not None:
        made["sid"] = token.sid
    return made
