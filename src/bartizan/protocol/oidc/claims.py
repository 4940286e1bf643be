"""OIDC Core §5.1, §5.4: which claims a scope opens. ID token, userinfo and discovery read this table."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from bartizan.protocol.oauth.scopes import EMAIL, PROFILE

SCOPE_CLAIMS: dict[str, tuple[str, ...]] = {
    PROFILE: ("name",),
    EMAIL: ("email", "email_verified"),
}

SUPPORTED = (
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "auth_time",
    "nonce",
    "sid",
    *(claim for claims in SCOPE_CLAIMS.values() for claim in claims),
)


class Person(Struct, frozen=True, kw_only=True):
    """What we may know of somebody, before a scope says what is told."""

    name: str
    email: str
    email_verified: bool


def of_person(person: Person, scopes: Iterable[str]) -> dict[str, object]:
    """The claims that these scopes open. An empty name is no claim."""
    everything: dict[str, object] = {
        "name": person.name or None,
        "email": person.email,
        "email_verified": person.email_verified,
    }
    opened = [claim for scope in scopes for claim in SCOPE_CLAIMS.get(scope, ())]
    return {claim: everything[claim] for claim in opened if everything[claim] is not None}
