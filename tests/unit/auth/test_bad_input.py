"""Bad input (the issue's paragraph): whatever comes, each endpoint answers its standard error, changes nothing, and
says nothing of the cause. Hypothesis drives each one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.auth.house import AGENT, FORM, OTHER_SECRET, PRINT_SHOP, House, asked
from tests.unit.web.calling import Answer

import bartizan.auth
from bartizan.protocol.oauth.errors import ERRORS

PAR = asked(PRINT_SHOP)
# What a good request of each endpoint looks like. Here the client is `agent`, whose secret goes in the body.
GOOD: dict[str, dict[str, str]] = {
    "/token": {"grant_type": "client_credentials", "scope": "photos.read"},
    "/revoke": {"token": "rubbish", "token_type_hint": "access_token"},
    "/introspect": {"token": "rubbish", "token_type_hint": "access_token"},
}
CLIENT = {"client_id": AGENT.id, "client_secret": OTHER_SECRET}
NAMES = [*PAR, *(name for form in GOOD.values() for name in form), *CLIENT]
NAMES += ["code", "code_verifier", "refresh_token", "resource", "response_mode", "prompt", "max_age", "login_hint"]
NAMES += ["request", "request_uri", "registration", "id_token_hint", "bz_csrf", "unknown", "after"]

values = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["", " ", "\0", "\r\n", "..", "null", "true", "-1", "1e999", "[]", "{}", "%", "'", '"', "\\"]),
    st.integers().map(str),
    st.sampled_from(["a" * 4097, "é" * 300, "\u202e", "\ud7ff", "https://evil.example", "bzr_" + "A" * 86, "a b c"]),
)
pairs = st.lists(st.tuples(st.sampled_from(NAMES), values), max_size=6)
raw = st.one_of(
    st.binary(max_size=80),
    pairs.map(lambda some: urlencode(some, errors="replace").encode()),
    pairs.map(lambda some: "&".join(f"{name}={value}" for name, value in some).encode("utf-8", "replace")),
)
kinds = st.sampled_from([FORM, FORM, FORM, "application/json", "text/plain", FORM + "; charset=utf-16", ""])


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with House() as made:
        made.tokens(PRINT_SHOP)
        made.cookies.clear()
        yield made


few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def state(house: House) -> dict[str, object]:
    """Everything but the events: a refused client is noted."""
    return {name: deepcopy(value) for name, value in vars(house.tables).items() if name != "events"}


def check_told(answer: Answer) -> None:
    """The standard error and its one sentence."""
    assert answer.status in (400, 401, 403, 405, 413), answer.text
    told = answer.json
    code = str(told.get("error", ""))
    if answer.status in (400, 401) and code:
        assert told == {"error": code, "error_description": ERRORS[code].tell}
    assert answer.header("location") is None
    assert "Traceback" not in answer.text


@few
@given(path=st.sampled_from(["/token", "/par", "/revoke", "/introspect"]), body=raw, kind=kinds)
def test_rubbish_from_a_stranger(house: House, path: str, body: bytes, kind: str) -> None:
    before = state(house)
    check_told(house.call("POST", path, headers={"content-type": kind}, body=body))
    assert state(house) == before


@few
@given(path=st.sampled_from(list(GOOD)), more=pairs, raw_tail=st.binary(max_size=20))
def test_rubbish_from_a_client(house: House, path: str, more: list[tuple[str, str]], raw_tail: bytes) -> None:
    """A good request with more in it: answered as if it were not there, or refused; never half done."""
    before = state(house)
    body = urlencode({**GOOD[path], **CLIENT}).encode() + b"&" + urlencode(more, errors="replace").encode() + raw_tail
    answer = house.call("POST", path, headers={"content-type": FORM}, body=body)
    if answer.status != 200:
        check_told(answer)
    assert state(house) == before


@few
@given(changed=st.dictionaries(st.sampled_from(NAMES), values, min_size=1, max_size=3))
def test_rubbish_at_authorize(house: House, changed: dict[str, str]) -> None:
    """Refused with a page, sent back to the registered address, or understood: nothing else, and never elsewhere."""
    query = urlencode({**asked(PRINT_SHOP), **changed}, errors="replace")
    answer = house.call("GET", f"/authorize?{query}")
    location = answer.header("location")
    house.cookies.clear()
    if location is None:
        check_told(answer)
        return
    assert answer.status == 303
    assert location in ("/signin", "/signup") or location.startswith(PRINT_SHOP.redirect_uris[0] + "?error=")


@few
@given(query=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60))
def test_rubbish_in_queries(house: House, query: str) -> None:
    for path in ("/authorize", "/jwks", "/.well-known/openid-configuration", "/userinfo"):
        answer = house.call("GET", f"{path}?{query}")
        assert answer.status < 500
        assert answer.header("location") is None


headers = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60)
schemes = st.sampled_from(["Bearer", "Basic", "DPoP", ""])


@few
@given(header=headers, scheme=schemes)
def test_rubbish_in_the_authorization_header(house: House, header: str, scheme: str) -> None:
    before = state(house)
    sent = {"authorization": f"{scheme} {header}"}
    check_told(house.call("GET", "/userinfo", headers=sent))
    body = urlencode({"grant_type": "client_credentials"}).encode()
    check_told(house.call("POST", "/token", headers={**sent, "content-type": FORM}, body=body))
    assert state(house) == before


@pytest.mark.parametrize("name", sorted(PAR))
def test_each_parameter_twice_too_long_and_wrongly_encoded(house: House, name: str) -> None:
    good = urlencode(PAR)
    for bad in (f"{name}=x", f"{name}2=%", f"{name}2=%c3%28", f"{name}2=" + "x" * 4097, f"{name}2=%0a"):
        answer = house.call("GET", f"/authorize?{good}&{bad}")
        assert (answer.status, answer.json["error"]) == (400, "invalid_request")


def test_too_much(house: House) -> None:
    headers = {"content-type": FORM}
    assert house.call("POST", "/token", headers=headers, body=b"a" * 16_385).status == 413
    many = "&".join(f"p{n}=1" for n in range(70))
    assert house.call("GET", f"/authorize?{many}").status == 400
    assert house.call("GET", "/authorize?a=" + "x" * 9000).status == 400


def test_only_authenticate_builds_an_authenticated_client() -> None:
    rooms = Path(bartizan.auth.__file__).parent.rglob("*.py")
    calls = [(path.name, node) for path in rooms for node in ast.walk(ast.parse(path.read_text()))]
    builders = [
        name
        for name, node in calls
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("AuthenticatedClient")
    ]
    assert builders == ["clients.py"]
