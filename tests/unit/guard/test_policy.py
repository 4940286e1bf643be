"""Flows §2–3: `presented` and `decide` as tables, without a framework."""

from __future__ import annotations

from typing import Any

import pytest

from bartizan.guard import policy
from bartizan.guard.policy import Denied, GuardRequest, Resource, RoutePolicy, Token, Who, decide, presented, token_of
from bartizan.protocol.jose import InvalidToken
from bartizan.protocol.refusal import Refused
from bartizan.protocol.web.cors import PublicRead
from bartizan.protocol.web.csrf import Rule
from bartizan.protocol.web.limits import parse

APP = "http://app.localhost:8080"
RESOURCE = Resource(issuer="http://id.localhost:8080", audience=APP, app_origin=APP)
NOW = 1_893_456_000.0
VALUE = "csrf-value"

COOKIE = Token(sub="alice", client_id="spa", scopes=frozenset({"read"}), gid="g1", exp=NOW + 60, csrf=VALUE, claims={})
BEARER = Token(sub="alice", client_id="app", scopes=frozenset({"read"}), gid="g1", exp=NOW + 60, csrf=None, claims={})
READ = RoutePolicy(who=Who.SIGNED_IN, scopes=("read",))
FORM = RoutePolicy(who=Who.SIGNED_IN, scopes=("read",), csrf=Rule.FORM)
ORIGIN = RoutePolicy(who=Who.SIGNED_IN, scopes=("read",), csrf=Rule.ORIGIN)
URLENCODED = "application/x-www-form-urlencoded; charset=utf-8"


def post(**values: Any) -> GuardRequest:
    return GuardRequest(**{"method": "POST", "sec_fetch_site": "same-origin", **values})


def outcome(route: RoutePolicy, request: GuardRequest, token: Token, ended: frozenset[str] = frozenset()) -> str:
    try:
        grant = decide(route, request, RESOURCE, token, ended, NOW)
    except Refused as no:
        return f"{no.status} {no.code}"
    return "form" if grant.form_due else "yes"


@pytest.mark.parametrize(
    ("route", "request_", "token", "expected"),
    [
        # a bearer token needs no CSRF, whatever the browser says
        (READ, GuardRequest(method="POST"), BEARER, "yes"),
        (READ, post(sec_fetch_site="cross-site"), BEARER, "yes"),
        # a cookie token: origin test first, then the value of its own claim
        (READ, GuardRequest(method="GET"), COOKIE, "yes"),
        (READ, GuardRequest(method="HEAD", sec_fetch_site="cross-site"), COOKIE, "yes"),
        (READ, post(csrf=VALUE), COOKIE, "yes"),
        (READ, post(), COOKIE, "403 csrf"),
        (READ, post(csrf=""), COOKIE, "403 csrf"),
        (READ, post(csrf="another"), COOKIE, "403 csrf"),
        (READ, post(csrf=VALUE, sec_fetch_site="same-site"), COOKIE, "403 csrf"),
        (READ, post(csrf=VALUE, sec_fetch_site="cross-site"), COOKIE, "403 csrf"),
        (READ, post(csrf=VALUE, sec_fetch_site=None), COOKIE, "403 csrf"),
        (READ, post(csrf=VALUE, sec_fetch_site=None, origin="null"), COOKIE, "403 csrf"),
        (READ, post(csrf=VALUE, sec_fetch_site=None, origin=APP), COOKIE, "yes"),
        (READ, post(csrf=VALUE, method="PROPFIND"), COOKIE, "yes"),
        (READ, post(method="PROPFIND"), COOKIE, "403 csrf"),
        (READ, post(content_type=URLENCODED), COOKIE, "403 csrf"),
        # form: a header must match; without one, a form whose field is compared next
        (FORM, post(csrf=VALUE), COOKIE, "yes"),
        (FORM, post(csrf="another", content_type=URLENCODED), COOKIE, "403 csrf"),
        (FORM, post(content_type=URLENCODED), COOKIE, "form"),
        (FORM, post(content_type="Multipart/Form-Data; boundary=x"), COOKIE, "form"),
        (FORM, post(content_type="application/json"), COOKIE, "403 csrf"),
        (FORM, post(content_type="text/plain"), COOKIE, "403 csrf"),
        (FORM, post(), COOKIE, "403 csrf"),
        (FORM, post(content_type=URLENCODED, sec_fetch_site="same-site"), COOKIE, "403 csrf"),
        (FORM, post(content_type=URLENCODED), BEARER, "yes"),
        # origin: the origin test alone
        (ORIGIN, post(), COOKIE, "yes"),
        (ORIGIN, post(sec_fetch_site="cross-site"), COOKIE, "403 csrf"),
        # a WebSocket is a GET and yet needs the Origin
        (READ, GuardRequest(method="GET", websocket=True, origin=APP), COOKIE, "yes"),
        (READ, GuardRequest(method="GET", websocket=True), COOKIE, "403 csrf"),
        (READ, GuardRequest(method="GET", websocket=True, origin="http://b.localhost:8080"), COOKIE, "403 csrf"),
        (READ, GuardRequest(method="GET", websocket=True), BEARER, "yes"),
        # scopes: all of them
        (RoutePolicy(who=Who.SIGNED_IN, scopes=("read", "write")), post(), BEARER, "403 insufficient_scope"),
        (RoutePolicy(who=Who.SIGNED_IN), post(), BEARER, "yes"),
        (RoutePolicy(who=Who.OPTIONAL), post(), COOKIE, "403 csrf"),
    ],
)
def test_decide(route: RoutePolicy, request_: GuardRequest, token: Token, expected: str) -> None:
    assert outcome(route, request_, token) == expected


def test_time_and_end_are_looked_at_each_time() -> None:
    get = GuardRequest(method="GET")
    assert outcome(READ, get, BEARER, frozenset({"g1"})) == "401 invalid_token"
    assert outcome(READ, get, BEARER, frozenset({"g2"})) == "yes"
    with pytest.raises(Denied, match="expired"):
        decide(READ, get, RESOURCE, BEARER, frozenset(), NOW + 65)
    assert decide(READ, get, RESOURCE, BEARER, frozenset(), NOW + 64).token is BEARER


@pytest.mark.parametrize(
    ("who", "authorization", "expected"),
    [
        (Who.UNDECLARED, ("Bearer x",), "403 undeclared"),
        (Who.PUBLIC, ("Bearer x",), None),
        (Who.PUBLIC, ("Bearer x", "Bearer y"), None),
        (Who.OPTIONAL, (), None),
        (Who.OPTIONAL, ("Bearer x",), "x"),
        (Who.SIGNED_IN, ("Bearer x",), "x"),
        (Who.SIGNED_IN, ("bearer x",), "x"),
        (Who.SIGNED_IN, ("BEARER  x",), "x"),
        (Who.SIGNED_IN, (), "401 unauthorized"),
        (Who.SIGNED_IN, ("Basic x",), "401 unauthorized"),
        (Who.SIGNED_IN, ("Bearer x, Bearer y",), "400 invalid_request"),
        (Who.OPTIONAL, ("Bearer",), "400 invalid_request"),
    ],
)
def test_presented(who: Who, authorization: tuple[str, ...], expected: str | None) -> None:
    route, request = RoutePolicy(who=who), GuardRequest(method="GET", authorization=authorization)
    if expected and " " in expected:
        with pytest.raises(Denied) as info:
            presented(route, request, RESOURCE)
        assert f"{info.value.status} {info.value.code}" == expected
    else:
        assert presented(route, request, RESOURCE) == expected


def test_challenges() -> None:
    """RFC 6750 §3: no error code without a token; the scope that would help with 403."""
    with pytest.raises(Denied) as none:
        presented(READ, GuardRequest(method="GET"), RESOURCE)
    assert none.value.headers == (("WWW-Authenticate", 'Bearer realm="api", scope="read"'),)
    with pytest.raises(Denied) as scope:
        decide(RoutePolicy(who=Who.SIGNED_IN, scopes=("a", "b")), post(), RESOURCE, BEARER, frozenset(), NOW)
    assert 'error="insufficient_scope"' in scope.value.headers[0][1]
    assert 'scope="a b"' in scope.value.headers[0][1]
    ended = policy.invalid_token(RESOURCE, "what gave it was ended")
    late = policy.invalid_token(RESOURCE, "expired")
    assert (ended.headers, ended.tell) == (late.headers, late.tell)  # one answer for every cause


@pytest.mark.parametrize("fields", [[], [""], ["another"], [VALUE, VALUE], [VALUE + " "]])
def test_the_form_field_is_sent_once_and_equal(fields: list[str]) -> None:
    grant = policy.Grant(token=COOKIE, form_due=True)
    policy.form_matches(grant, [VALUE])
    with pytest.raises(Denied):
        policy.form_matches(grant, fields)


CLAIMS: dict[str, Any] = {"sub": "a", "client_id": "c", "gid": "g", "scope": "x y", "exp": 1}


def test_claims_become_a_token() -> None:
    token = token_of(CLAIMS)
    assert (token.sub, token.scopes, token.csrf, token.may("x"), token.may("z")) == (
        "a",
        frozenset({"x", "y"}),
        None,
        True,
        False,
    )
    assert token_of(CLAIMS | {"csrf": "v"}).csrf == "v"
    assert token_of({k: v for k, v in CLAIMS.items() if k != "scope"}).scopes == frozenset()


@pytest.mark.parametrize(
    "changed",
    [
        {"sub": ""},
        {"sub": None},
        {"sub": 1},
        {"client_id": None},
        {"gid": None},
        {"gid": ""},
        {"gid": ["g"]},
        {"scope": ["x"]},
        {"csrf": ""},
        {"csrf": 1},
        {"csrf": True},
    ],
)
def test_claims_that_are_no_token(changed: dict[str, Any]) -> None:
    with pytest.raises(InvalidToken):
        token_of(CLAIMS | changed)


def test_declarations_that_cannot_work_fail_early() -> None:
    with pytest.raises(ValueError, match="gateway"):
        RoutePolicy(who=Who.SIGNED_IN, limit=parse("1/minute per address"))
    with pytest.raises(ValueError, match="needs a user"):
        RoutePolicy(who=Who.PUBLIC, limit=parse("1/minute per user"))
    for who in (Who.SIGNED_IN, Who.OPTIONAL):
        with pytest.raises(ValueError, match="public"):
            RoutePolicy(who=who, cors=PublicRead())
    for origin in ("http://app.localhost:8080/", "HTTP://app", "*", ""):
        with pytest.raises(ValueError):  # noqa: PT011 - the text is that of `origins.parse`
            Resource(issuer="http://id.localhost:8080", audience=APP, app_origin=origin)
