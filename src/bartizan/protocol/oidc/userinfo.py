"""OIDC Core §5.3: the userinfo answer."""

from __future__ import annotations

from collections.abc import Sequence

from bartizan.protocol.oauth.errors import no
from bartizan.protocol.oauth.scopes import OPENID
from bartizan.protocol.oidc.claims import Person, of_person


def check_scope(scopes: Sequence[str]) -> None:
    """§5.3.1: a token of an OpenID request; others are no key to a person."""
    if OPENID not in scopes:
        raise no("insufficient_scope", "the token was not granted openid")


def answer(subject: str, person: Person, scopes: Sequence[str]) -> dict[str, object]:
    """§5.3.2: `sub` always, and what the scopes open."""
    return {"sub": subject, **of_person(person, scopes)}
