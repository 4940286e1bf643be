"""PKCE, scopes, resources, credentials, refresh tokens, errors: a table a rule."""

from __future__ import annotations

import re
from base64 import b64encode
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.protocol.oauth import access, authorize, introspection, pkce, refresh, resources, scopes, token
from bartizan.protocol.oauth.credentials import BASIC, NONE, POST, Presented, presented
from bartizan.protocol.oauth.errors import ERRORS, no
from bartizan.protocol.oauth.parameters import Parameters
from bartizan.protocol.oauth.redirects import CheckedRedirect
from bartizan.protocol.refusal import Refused
from bartizan.protocol.secrets import KeyRing

# RFC 7636, appendix B.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_pkce_vector() -> None:
    assert pkce.challenge(VERIFIER) == CHALLENGE
    assert pkce.matches(VERIFIER, CHALLENGE)


@pytest.mark.parametrize("verifier", ["", VERIFIER[:-1], VERIFIER + "=", "é" * 43, "a" * 129, "a b" + "c" * 40])
def test_pkce_refuses_what_is_no_verifier(verifier: str) -> None:
    assert not pkce.matches(verifier, CHALLENGE)
    with pytest.raises(Refused):
        token.code_request(Parameters({"code": "c", "code_verifier": verifier} if verifier else {"code": "c"}))


def test_pkce_plain_does_not_match() -> None:
    assert not pkce.matches(VERIFIER, VERIFIER)


def test_scopes() -> None:
    assert scopes.parse("a b a  c") == ("a", "b", "c")
    assert scopes.within(("a",), ("a", "b")) == ("a",)
    assert scopes.common(("a", "x"), ("a", "b")) == ("a",)
    assert scopes.render(("a", "b")) == "a b"
    for bad in ("", " ", 'a"', "a\\b", "ü", "x" * 129):
        with pytest.raises(Refused):
            scopes.parse(bad)
    with pytest.raises(Refused) as refused:
        scopes.within(("a", "c"), ("a", "b"))
    assert refused.value.code == "invalid_scope"


def test_resources() -> None:
    allowed = ("https://a.example", "https://b.example")
    assert resources.choose((), allowed, "https://d.example") == ("https://a.example",)
    assert resources.choose((), (), "https://d.example") == ("https://d.example",)
    assert resources.choose(("https://b.example", "https://b.example"), allowed, "") == ("https://b.example",)
    assert resources.narrow((), allowed) == allowed
    for asked in (("https://c.example",), ("b.example",), ("https://[::1",), ("https://a.example",) * 9):
        with pytest.raises(Refused) as refused:
            resources.choose(asked, allowed, "")
        assert refused.value.code == "invalid_target"
    with pytest.raises(Refused):
        resources.narrow(("https://c.example",), allowed)


def header(text: str) -> list[str]:
    return ["Basic " + b64encode(text.encode()).decode()]


@pytest.mark.parametrize(
    ("authorization", "form", "expected"),
    [
        (header("a:b"), {}, Presented("a", BASIC, "b")),
        (header("a%3Ab:c+d"), {}, Presented("a:b", BASIC, "c d")),
        (header("a:b:c"), {"client_id": "a"}, Presented("a", BASIC, "b:c")),
        ([header("a:b")[0].replace("Basic", "bAsIc")], {}, Presented("a", BASIC, "b")),
        ([], {"client_id": "a", "client_secret": "b"}, Presented("a", POST, "b")),
        ([], {"client_id": "a"}, Presented("a", NONE, None)),
    ],
)
def test_credentials(authorization: list[str], form: dict[str, str], expected: Presented) -> None:
    assert presented(authorization, Parameters(form)) == expected


@pytest.mark.parametrize(
    ("authorization", "form", "code"),
    [
        (header("a:b"), {"client_secret": "b"}, "invalid_request"),
        (header("a:b"), {"client_id": "c"}, "invalid_request"),
        (header("a:b") * 2, {}, "invalid_request"),
        (header("a"), {}, "invalid_client"),
        (header(":b"), {}, "invalid_client"),
        (header("a:"), {}, "invalid_client"),
        (header("a:\n"), {}, "invalid_client"),
        (header("a:%ff"), {}, "invalid_client"),
        (header("a:" + "b" * 300), {}, "invalid_client"),
        (["Basic"], {}, "invalid_client"),
        (["Basic ====="], {}, "invalid_client"),
        (["Bearer abc"], {}, "invalid_client"),
        ([""], {}, "invalid_client"),
        ([], {}, "invalid_client"),
        ([], {"client_secret": "b"}, "invalid_client"),
        ([], {"client_id": "a", "client_assertion": "x"}, "invalid_client"),
        ([], {"client_id": "a" * 256}, "invalid_request"),
    ],
)
def test_credentials_refused(authorization: list[str], form: dict[str, str], code: str) -> None:
    with pytest.raises(Refused) as refused:
        presented(authorization, Parameters(form))
    assert refused.value.code == code


RING = KeyRing((("newkey01", bytes([1]) * 32), ("oldkey01", bytes([2]) * 32))).purpose("refresh")
TOKEN = refresh.RefreshToken("oldkey01", 7, UUID(int=5), 9)


def test_a_refresh_token_comes_back_as_it_went() -> None:
    text = refresh.encode(RING, TOKEN)
    assert text is not None
    assert re.fullmatch(r"bzr_[A-Za-z0-9_-]{86}", text)
    assert refresh.decode(RING, text) == TOKEN
    assert refresh.encode(RING, TOKEN) == text, "derived, not drawn"


def test_a_withdrawn_key_ends_its_tokens() -> None:
    text = refresh.encode(RING, TOKEN)
    without = KeyRing((("newkey01", bytes([1]) * 32),)).purpose("refresh")
    assert text is not None
    assert refresh.decode(without, text) is None
    assert refresh.encode(without, TOKEN) is None
    other = KeyRing((("oldkey01", bytes([2]) * 32),)).purpose("bff")
    assert refresh.decode(other, text) is None, "another purpose, another key"


@settings(max_examples=200, deadline=None)
@given(at=st.integers(0, 89), letter=st.sampled_from("ABCDwxyz0189-_=+/ \0é"))
def test_one_changed_letter_is_no_token(at: int, letter: str) -> None:
    text = refresh.encode(RING, TOKEN)
    assert text is not None
    changed = text[:at] + letter + text[at + 1 :]
    assert (refresh.decode(RING, changed) == TOKEN) is (changed == text)


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.text(max_size=100), st.binary(max_size=90).map(lambda raw: "bzr_" + raw.hex()[:86])))
def test_rubbish_is_no_token(text: str) -> None:
    assert refresh.decode(RING, text) is None


def test_one_code_one_sentence() -> None:
    for code, row in ERRORS.items():
        first, second = no(code, "one cause"), no(code, "another")
        assert (first.code, first.tell, first.status) == (second.code, second.tell, second.status)
        assert re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+", row.tell), "RFC 6749 §5.2: what a description may hold"
        assert "one cause" not in first.tell


def test_a_checked_request_rests_in_a_row_unchanged() -> None:
    request = authorize.AuthorizationRequest(
        client_id="c",
        redirect=CheckedRedirect("https://c.example", sent=False),
        scopes=("a",),
        code_challenge=CHALLENGE,
        audience=("https://a.example",),
        prompt=("login",),
        max_age=5,
        csrf="x",
    )
    assert authorize.unpack(authorize.pack(request)) == request


def access_token(**changed: Any) -> access.AccessToken:
    fields: dict[str, Any] = {
        "issuer": "https://id.example",
        "subject": "s",
        "audience": ("https://a.example",),
        "client_id": "c",
        "scopes": ("a", "b"),
        "issued_at": 1,
        "expires_at": 2,
        "jti": "j",
        "gid": "g",
        "auth_time": 0,
        "csrf": "x",
    }
    return access.AccessToken(**{**fields, **changed})


def test_access_token_claims_come_back_as_they_went() -> None:
    for made in (access_token(), access_token(auth_time=None, csrf=None)):
        claims = {**access.claims(made), "aud": list(made.audience)}
        assert access.read(claims) == made
        assert ("csrf" in claims) is (made.csrf is not None)


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "client_id", "scope", "iat", "exp", "jti", "gid"])
def test_claims_of_another_type_are_no_access_token(name: str) -> None:
    claims = {**access.claims(access_token()), "aud": ["https://a.example"]}
    assert access.read({**claims, name: {}}) is None
    del claims[name]
    assert access.read(claims) is None


def test_who_may_introspect() -> None:
    def client(client_id: str, *audience: str) -> Any:
        return cast(Any, SimpleNamespace(id=client_id, audience=audience))

    assert introspection.may_ask(client("c"), access_token())
    assert introspection.may_ask(client("api", "https://a.example"), access_token())
    assert not introspection.may_ask(client("api", "https://b.example"), access_token())
