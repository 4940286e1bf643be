"""OIDC: what a scope opens, what an ID token says, where a logout may lead."""

from __future__ import annotations

from typing import Any

import pytest

from bartizan.protocol.oauth.parameters import from_query
from bartizan.protocol.oidc import claims, id_token, logout, userinfo
from bartizan.protocol.refusal import Refused

ADA = claims.Person(name="Ada", email="ada@example.test", email_verified=True)


@pytest.mark.parametrize(
    ("scopes", "told"),
    [
        (["openid"], {}),
        (["openid", "profile"], {"name": "Ada"}),
        (["openid", "email"], {"email": "ada@example.test", "email_verified": True}),
        (["photos.read"], {}),
    ],
)
def test_a_scope_opens_its_claims(scopes: list[str], told: dict[str, object]) -> None:
    assert claims.of_person(ADA, scopes) == told
    assert userinfo.answer("s", ADA, scopes) == {"sub": "s", **told}
    assert set(told) <= set(claims.SUPPORTED)


def test_an_empty_name_is_no_claim() -> None:
    nameless = claims.Person(name="", email="a@example.test", email_verified=False)
    assert claims.of_person(nameless, ["profile"]) == {}


def test_userinfo_needs_openid() -> None:
    userinfo.check_scope(["openid"])
    with pytest.raises(Refused) as refused:
        userinfo.check_scope(["profile"])
    assert (refused.value.code, refused.value.status) == ("insufficient_scope", 403)


def test_an_id_token_says_no_more_than_it_has() -> None:
    plain = id_token.IdToken(issuer="i", subject="s", client_id="c", issued_at=1, expires_at=2, auth_time=0)
    assert id_token.claims(plain) == {"iss": "i", "sub": "s", "aud": "c", "iat": 1, "exp": 2, "auth_time": 0}
    odd = id_token.IdToken(
        issuer="i",
        subject="s",
        client_id="c",
        issued_at=1,
        expires_at=2,
        auth_time=0,
        nonce="n",
        sid="d",
        personal={"sub": "another", "name": "Ada"},
    )
    made = id_token.claims(odd)
    assert (made["sub"], made["name"], made["nonce"], made["sid"]) == ("s", "Ada", "n", "d")


def sent(query: str) -> logout.LogoutParameters:
    return logout.parse(from_query(query.encode()))


HINT = logout.Hint("app", "ada", "session")


def test_the_way_back_is_registered_letter_by_letter() -> None:
    registered = ("https://app.example/", "https://app.example/?bye=1")
    assert logout.way_back(sent("state=x"), registered) is None
    back = logout.way_back(sent("post_logout_redirect_uri=https://app.example/?bye%3D1&state=a%26b"), registered)
    assert back == logout.Back("https://app.example/?bye=1&state=a%26b")
    for uri in ("https://app.example", "https://app.example//", "https://app.example/#", "https://evil.example/"):
        with pytest.raises(Refused):
            logout.way_back(sent(f"post_logout_redirect_uri={uri.replace('#', '%23')}"), registered)


def test_two_names_for_the_client_must_be_one() -> None:
    assert logout.named_client(sent("client_id=app"), HINT) == "app"
    assert logout.named_client(sent(""), HINT) == "app"
    assert logout.named_client(sent("client_id=app"), None) == "app"
    assert logout.named_client(sent(""), None) is None
    with pytest.raises(Refused):
        logout.named_client(sent("client_id=other"), HINT)


def test_proof_is_of_this_person_and_this_session() -> None:
    assert logout.is_proven(HINT, user_id="ada", session_id="session")
    assert not logout.is_proven(HINT, user_id="bob", session_id="session")
    assert not logout.is_proven(HINT, user_id="ada", session_id="other")
    assert not logout.is_proven(logout.Hint("app", "ada", None), user_id="ada", session_id="None")
    assert not logout.is_proven(None, user_id="ada", session_id="session")


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ({"aud": "app", "sub": "ada", "sid": "session"}, HINT),
        ({"aud": "app", "sub": "ada"}, logout.Hint("app", "ada", None)),
        ({"aud": ["app"], "sub": "ada"}, None),
        ({"aud": "app"}, None),
        ({"aud": "app", "sub": 1}, None),
    ],
)
def test_hint(held: dict[str, Any], expected: logout.Hint | None) -> None:
    assert logout.hint(held) == expected
