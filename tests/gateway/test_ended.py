"""Flows §7 at the gateway: what was ended is refused within the moment the list is moved into place."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.gateway.site import CSRF, Keys, Site

from bartizan.gateway.compiler import published

NAVIGATE = [("Sec-Fetch-Mode", "navigate"), ("Accept", "text/html")]
FETCH = [("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Site", "same-origin")]


def within_two_seconds(holds: Callable[[], bool]) -> float:
    start = time.monotonic()
    while not holds():
        assert time.monotonic() - start < 2, "not within 2 s"
        time.sleep(0.01)
    return time.monotonic() - start


def test_an_ended_family_is_refused_and_the_others_are_not(site: Site) -> None:
    ended = {"Authorization": f"Bearer {site.keys.token(gid='ended-1')}"}
    other = {"Authorization": f"Bearer {site.keys.token(gid='alive-1')}"}
    assert site.ask("GET", "/api/x", ended).status == 200
    site.end("ended-1", *(f"gone-{number}" for number in range(10_000)))
    within_two_seconds(lambda: site.ask("GET", "/api/x", ended).status == 401)
    answer = site.ask("POST", "/api/x", ended)
    assert (answer.status, answer.json()["error"]) == (401, "invalid_token")
    assert answer.header("www-authenticate") == 'Bearer error="invalid_token"'
    assert answer.header("x-content-type-options") == "nosniff"
    assert site.ask("GET", "/api/x", other).status == 200
    assert site.ask("GET", "/open/x", ended).status == 200  # public: nothing is looked at
    assert site.ask("GET", "/files", ended).status == 401
    assert site.ask("GET", "/maybe/x", ended).status == 401
    site.end()
    within_two_seconds(lambda: site.ask("GET", "/api/x", ended).status == 200)


def test_an_ended_cookie_goes_to_renewal_which_finds_out(site: Site) -> None:
    cookie = site.cookies(site.cookie_token(gid="ended-2"), refresh=True, csrf=True)
    site.end("ended-2")
    within_two_seconds(lambda: site.ask("GET", "/api/x", [cookie]).status == 401)
    answer = site.ask("GET", "/api/x?a=1&b=2", [cookie, *NAVIGATE])
    assert (answer.status, answer.header("location")) == (303, "/bff/renew?return_to=/api/x?a=1&b=2")
    assert answer.body == b""
    answer = site.ask("POST", "/api/x", [cookie, *FETCH, ("X-CSRF-Token", CSRF)], body=b"x")
    assert (answer.status, answer.header("location")) == (307, "/bff/renew?return_to=/api/x")
    without_refresh = site.cookies(site.cookie_token(gid="ended-2"))
    assert site.ask("POST", "/api/x", [without_refresh, *FETCH]).status == 401
    site.end()


def test_unseen_means_503_for_who_shows_a_token(site: Site) -> None:
    bearer = {"Authorization": f"Bearer {site.keys.token()}"}
    cookie = site.cookies(site.cookie_token(), refresh=True)
    site.publish(published.ENDED_FILE, published.unseen())
    try:
        within_two_seconds(lambda: site.ask("GET", "/api/x", bearer).status == 503)
        for path in ("/api/x", "/maybe/x", "/files"):
            answer = site.ask("GET", path, [cookie, *NAVIGATE])
            assert (answer.status, answer.header("retry-after")) == (503, "2"), path
            assert answer.header("content-type") == "text/html; charset=utf-8"
            answer = site.ask("POST", path, bearer)
            assert (answer.status, answer.json()["error"]) == (503, "temporarily_unavailable")
        assert site.ask("GET", "/maybe/x").status == 200
        assert site.ask("GET", "/open/x", bearer).status == 200
        assert site.ask("GET", "/", [cookie]).status == 200
        assert site.ask("GET", "/bff/renew", [cookie]).status == 200
        assert site.ask("GET", "/jwks", host=site.host("id")).status == 200
        assert site.ask("GET", "/api/x", NAVIGATE).status == 303
    finally:
        site.end()
    within_two_seconds(lambda: site.ask("GET", "/api/x", bearer).status == 200)


def test_a_withdrawn_key_is_refused_and_a_new_one_holds(site: Site) -> None:
    fresh = Keys(site.settings.id_origin, site.settings.app_origin, kid="fresh")
    old, new = ({"Authorization": f"Bearer {keys.token(gid='key-change')}"} for keys in (site.keys, fresh))
    assert site.ask("GET", "/api/x", old).status == 200
    assert site.ask("GET", "/api/x", new).status == 401
    site.publish(published.JWT_FILE, published.jwt(site.settings, fresh.jwks()))
    try:
        within_two_seconds(lambda: site.ask("GET", "/api/x", new).status == 200)
        assert site.ask("GET", "/api/x", old).status == 401
    finally:
        site.publish(published.JWT_FILE, published.jwt(site.settings, site.keys.jwks()))
    within_two_seconds(lambda: site.ask("GET", "/api/x", old).status == 200)
