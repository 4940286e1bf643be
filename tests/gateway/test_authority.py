"""Flows §2, tried's table: whose request it is, and what of that reaches the app."""

from __future__ import annotations

import time

import pytest
from tests.gateway.site import CSRF, Site

SAME = ("Sec-Fetch-Site", "same-origin")


def test_without_a_token_a_required_route_is_401_and_names_no_error(site: Site) -> None:
    answer = site.ask("GET", "/api/x")
    assert answer.status == 401
    assert answer.header("www-authenticate") == "Bearer"
    assert answer.json()["error"] == "unauthorized"
    assert answer.header("x-content-type-options") == "nosniff"
    assert "frame-ancestors 'none'" in (answer.header("content-security-policy") or "")
    assert answer.header("server") is None


def test_a_page_gets_a_page(site: Site) -> None:
    answer = site.ask("GET", "/api/x", {"Accept": "text/html,*/*"})
    assert answer.status == 401
    assert answer.header("content-type") == "text/html; charset=utf-8"
    assert b"Sign in to use this." in answer.body
    assert (answer.header("x-request-id") or "none").encode() in answer.body


def test_the_access_cookie_becomes_authorization(site: Site) -> None:
    token = site.cookie_token()
    answer = site.ask(
        "GET", "/api/x", [("Cookie", f"theirs=1; {site.cookies(token, refresh=True, csrf=True)[1]}; o=2")]
    )
    assert answer.status == 200
    assert answer.seen_header("authorization") == f"Bearer {token}"
    assert answer.seen_header("x-bartizan-user") == "alice"
    assert answer.seen_header("cookie") == "theirs=1; o=2"
    assert [name for name, _ in answer.seen["headers"] if name.startswith("x-bartizan-")] == ["x-bartizan-user"]


@pytest.mark.parametrize(
    ("sent", "left"),
    [
        ("{p}-rt=1; a=1", "a=1"),
        ("a=1; {p}-rt=1", "a=1"),
        ("a=1;{p}-rt=1;b=2", "a=1;b=2"),
        ("{p}-rt=1", None),
        ("{p}-rt", None),
        ("a=__Host-bz-at; b=x__Host-bz", "a=__Host-bz-at; b=x__Host-bz"),
        ("__Host-bz9999-at=other; __Host-bzanything=1; a=1", "a=1"),
        ("a=1; {p}-rt=1; {p}-csrf=2; {p}-hop=3; b=2", "a=1; b=2"),
        ("a=1; {p}-rt=1; {p}-csrf=2", "a=1"),
        ("{p}-rt=1; a=1; {p}-csrf=2; b=2; {p}-hop=3", "a=1; b=2"),
        ("a=1 ;\t{p}-rt\t = 1 ;  b=2", "a=1 ;\tb=2"),
        ("a=1;{p}-rt=b=c==;d=x{p}-rt=2", "a=1;d=x{p}-rt=2"),
    ],
)
def test_our_cookies_are_cut_out_and_no_other(site: Site, sent: str, left: str | None) -> None:
    prefix = f"__Host-bz{site.port}"
    for path in ("/open/x", "/api/x", "/maybe/x"):
        answer = site.ask(
            "GET", path, {"Cookie": sent.replace("{p}", prefix), "Authorization": f"Bearer {site.keys.token()}"}
        )
        assert answer.seen_header("cookie") == (left and left.replace("{p}", prefix)), path


def test_a_token_between_blanks_is_one(site: Site) -> None:
    name, _, token = site.cookies(site.cookie_token())[1].partition("=")
    answer = site.ask("GET", "/api/x", {"Cookie": f"a=1;  {name} =\t {token} \t; b=2"})
    assert (answer.status, answer.seen_header("authorization")) == (200, f"Bearer {token}")
    assert answer.seen_header("cookie") == "a=1;  b=2"


def test_a_header_full_of_our_cookies_is_400_before_it_costs_anything(site: Site) -> None:
    """G14: each is cut out of the whole header, so a thousand of them are a small request with a large bill."""
    for number, status in ((60, 200), (1000, 400)):
        cookie = "; ".join(f"__Host-bz{one}-x=" for one in range(number))
        token = site.cookies(site.cookie_token())[1]
        assert site.ask("GET", "/api/x", [("Cookie", f"{token}; {cookie}")]).status == status


def test_two_cookies_of_one_name_are_400_everywhere(site: Site) -> None:
    token = site.cookie_token()
    twice = ("Cookie", f"{site.cookies(token)[1]}; {site.cookies(token)[1]}")
    for path in ("/api/x", "/open/x", "/maybe/x", "/bff/renew"):
        assert site.ask("GET", path, [twice]).status == 400, path
        assert site.ask("GET", path, [site.cookies(token), site.cookies(token)]).status == 400, path
    planted = ("Cookie", "__Host-bz-sso=1; a=b; __Host-bz-sso=2")
    assert site.ask("GET", "/signin", [planted], host=site.host("id")).status == 400


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEaReR", "bearer "])
def test_the_scheme_is_read_in_any_case(site: Site, scheme: str) -> None:
    token = site.keys.token()
    for path in ("/api/x", "/maybe/x"):
        answer = site.ask("GET", path, {"Authorization": f"{scheme} {token}"})
        assert answer.status == 200, path
        assert answer.seen_header("authorization") == f"Bearer {token}"
        assert answer.seen_header("x-bartizan-user") == "alice"
        assert site.ask("GET", path, {"Authorization": f"{scheme} {token[:-20]}"}).status == 401
    assert site.ask("GET", "/open/x", {"Authorization": f"{scheme} foreign"}).seen_header("authorization") == (
        f"{scheme} foreign"
    ), "a public route leaves it alone"
    twice = [("Authorization", f"{scheme} {token}"), ("Authorization", f"Bearer {token}")]
    assert site.ask("GET", "/api/x", twice).status == 401


def test_a_bearer_goes_before_the_cookie(site: Site) -> None:
    bob = site.keys.token(sub="bob")
    expired = site.cookie_token(exp=int(time.time()) - 60)
    answer = site.ask("POST", "/api/x", [site.cookies(expired), ("Authorization", f"Bearer {bob}")])
    assert answer.status == 200
    assert answer.seen_header("x-bartizan-user") == "bob"
    answer = site.ask("POST", "/api/x", [site.cookies(site.cookie_token()), ("Authorization", f"Bearer {bob}")])
    assert answer.seen_header("authorization") == f"Bearer {bob}"
    assert answer.seen_header("x-bartizan-user") == "bob"


def test_a_token_without_csrf_claim_is_refused_from_the_cookie(site: Site) -> None:
    for method in ("GET", "POST"):
        answer = site.ask(method, "/api/x", [site.cookies(site.keys.token()), ("X-CSRF-Token", ""), SAME])
        assert answer.status == 401, method
    assert site.ask("GET", "/api/x", {"Authorization": f"Bearer {site.keys.token()}"}).status == 200


def test_a_cookie_token_is_one_however_it_arrives(site: Site) -> None:
    bearer = ("Authorization", f"Bearer {site.cookie_token()}")
    assert site.ask("POST", "/api/x", [bearer]).status == 403
    assert site.ask("POST", "/api/x", [bearer, SAME, ("X-CSRF-Token", CSRF)]).status == 200
    assert site.ask("GET", "/api/x", [bearer]).status == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1},
        {"iss": "http://evil.example"},
        {"aud": ["another"]},
        {"aud": None},
        {"exp": None},
        {"gid": None},
        {"nbf": 4_000_000_000},
    ],
)
def test_a_token_that_does_not_hold_is_401(site: Site, claims: dict[str, object]) -> None:
    answer = site.ask("GET", "/api/x", {"Authorization": f"Bearer {site.keys.token(**claims)}"})
    assert answer.status == 401
    assert answer.header("www-authenticate") == 'Bearer error="invalid_token"'
    assert answer.json()["error"] == "invalid_token"


def test_a_broken_signature_a_foreign_key_and_no_signature_are_401(site: Site) -> None:
    good = site.keys.token()
    head, claims, signature = good.split(".")
    unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0." + claims + "."
    for token in (f"{head}.{claims}.{'A' + signature[1:]}x", f"{head}.{claims}.", unsigned, "x", ""):
        assert site.ask("GET", "/api/x", {"Authorization": f"Bearer {token}"}).status == 401, token
    for value in (f"Basic {good}", good, f"Bearer {good}, Bearer {good}"):
        assert site.ask("GET", "/api/x", {"Authorization": value}).status == 401, value
    twice = [("Authorization", f"Bearer {good}"), ("Authorization", f"Bearer {good}")]
    assert site.ask("GET", "/api/x", twice).status == 401


def test_a_cached_token_still_ends_at_its_time(site: Site) -> None:
    token = site.keys.token(exp=int(time.time()) - 3)  # within the leeway of 5 s, so it lives 2 s more
    bearer = {"Authorization": f"Bearer {token}"}
    assert site.ask("GET", "/api/x", bearer).status == 200
    until = time.monotonic() + 5
    while site.ask("GET", "/api/x", bearer).status == 200:
        assert time.monotonic() < until, "the cache outlives the token"
        time.sleep(0.1)


def test_public_leaves_a_foreign_authorization_alone(site: Site) -> None:
    for value in ("Basic Zm9vOmJhcg==", "Bearer whatever", f"Bearer {site.keys.token()}"):
        answer = site.ask("GET", "/open/x", {"Authorization": value})
        assert answer.seen_header("authorization") == value
        assert answer.seen_header("x-bartizan-user") is None
    answer = site.ask("GET", "/open/x", [site.cookies(site.cookie_token())])
    assert answer.seen_header("authorization") is None
    assert answer.seen_header("cookie") is None


def test_optional_passes_who_is_there_and_who_is_not(site: Site) -> None:
    answer = site.ask("GET", "/maybe/x")
    assert (answer.status, answer.seen_header("x-bartizan-user")) == (200, None)
    answer = site.ask("GET", "/maybe/x", [site.cookies(site.cookie_token())])
    assert (answer.status, answer.seen_header("x-bartizan-user")) == (200, "alice")
    answer = site.ask("GET", "/maybe/x", [site.cookies(site.cookie_token(exp=1))])
    assert (answer.status, answer.seen_header("x-bartizan-user"), answer.seen_header("authorization")) == (
        200,
        None,
        None,
    )
    assert site.ask("GET", "/maybe/x", {"Authorization": "Bearer broken"}).status == 401
    assert site.ask("GET", "/maybe/x", {"Authorization": "Basic abc"}).seen_header("authorization") == "Basic abc"
    # a token without csrf claim out of the cookie is nobody's, and leaves no trace
    answer = site.ask("GET", "/maybe/x", [site.cookies(site.keys.token())])
    assert (answer.status, answer.seen_header("x-bartizan-user"), answer.seen_header("authorization")) == (
        200,
        None,
        None,
    )


def test_the_refresh_cookie_reaches_the_bff_alone(site: Site) -> None:
    sent = site.cookies(site.cookie_token(), refresh=True, csrf=True)
    assert site.ask("GET", "/bff/renew?return_to=/", [sent]).seen_header("cookie") == sent[1]
    for path in ("/", "/api/x", "/open/x", "/maybe/x", "/bffx", "/files"):
        answer = site.ask("GET", path, [sent])
        if answer.status == 200:
            assert answer.seen_header("cookie") is None, path
    assert site.ask("GET", "/bff/nothing", [sent]).status == 404
    assert site.ask("GET", "/bff", [sent]).status == 404


def test_id_keeps_its_cookies_and_files_gets_none(site: Site) -> None:
    cookie = {"Cookie": "__Host-bz-sso=1; x=2", "Authorization": "Basic abc"}
    answer = site.ask("GET", "/signin", cookie, host=site.host("id"))
    assert (answer.seen["server"], answer.seen_header("cookie")) == ("auth", "__Host-bz-sso=1; x=2")
    assert answer.seen_header("authorization") == "Basic abc"
    answer = site.ask("GET", "/f/1/mac", cookie, host=site.host("files"))
    assert (answer.seen["server"], answer.seen_header("cookie")) == ("files", "x=2")


def test_scopes_are_asked_at_the_gateway(site: Site) -> None:
    def ask(path: str, scope: str | None) -> int:
        return site.ask("GET", path, {"Authorization": f"Bearer {site.keys.token(scope=scope)}"}).status

    assert ask("/api/photos/1", "photos.read") == 200
    assert ask("/api/photos/1", "a photos.read b") == 200
    assert ask("/api/photos/1", "photos.reads xphotos.read photosxread") == 403
    assert ask("/api/photos/1", None) == 403
    assert ask("/files", "photos.read") == 403
    answer = site.ask("GET", "/api/photos/1", {"Authorization": f"Bearer {site.keys.token(scope='x')}"})
    assert answer.header("www-authenticate") == 'Bearer error="insufficient_scope", scope="photos.read"'
    assert answer.json()["error"] == "insufficient_scope"
