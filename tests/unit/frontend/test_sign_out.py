"""Flows §9, §11: `/bff/logout` asks on GET, and acts on a POST of our own page or script alone."""

from __future__ import annotations

import re
from urllib.parse import urlencode, urlsplit

import pytest
from tests.unit.auth.house import APP, ISSUER
from tests.unit.frontend.house import (
    AT,
    CLICKED,
    CSRF,
    FORM,
    FROM_ELSEWHERE,
    HOP,
    RT,
    SCRIPT,
    Browser,
    path_of,
    read_cookies,
)

FIELD = re.compile(r'name="_csrf" value="([^"]+)"')


def test_a_link_only_asks() -> None:
    with Browser() as browser:
        browser.sign_in()
        browser.wire.asked.clear()
        answer = browser.call("GET", "/bff/logout", CLICKED)
        assert answer.status == 200
        assert answer.header("cache-control") == "no-store"
        assert "ada@example.test" in answer.text
        assert 'id="sign-out"' in answer.text
        assert "<script" not in answer.text
        assert f"form-action 'self' {ISSUER}" in (answer.header("content-security-policy") or "")
        assert browser.wire.asked == []
        assert RT in browser.cookies


def test_a_link_on_another_site_asks_too() -> None:
    with Browser() as browser:
        browser.sign_in()
        answer = browser.call("GET", "/bff/logout", FROM_ELSEWHERE)
        assert answer.header("refresh") == "0; url=/bff/logout?hop=1"
        assert 'id="sign-out"' in browser.call("GET", "/bff/logout?hop=1", CLICKED).text


def test_nobody_is_sent_to_the_app() -> None:
    with Browser() as browser:
        assert browser.call("GET", "/bff/logout?hop=1", FROM_ELSEWHERE).header("location") == "/"
        assert browser.call("GET", "/bff/logout", CLICKED).header("location") == "/"


def test_the_form_ends_it_everywhere() -> None:
    with Browser() as browser:
        browser.sign_in()
        browser.cookies["theirs"] = "1"
        access = browser.auth.claims(browser.cookies[AT])
        found = FIELD.search(browser.call("GET", "/bff/logout", CLICKED).text)
        assert found is not None
        body = urlencode({"_csrf": found[1]}).encode()
        answer = browser.call("POST", "/bff/logout", {**CLICKED, "content-type": FORM}, body)
        assert answer.status == 303
        assert answer.header("clear-site-data") == '"cache", "storage"'
        assert answer.header("cache-control") == "no-store"
        assert set(browser.cookies) == {"theirs"}
        assert {AT, RT, CSRF, HOP} <= set(read_cookies(answer))
        assert access["gid"] in {str(gid) for gid in browser.auth.tables.ended}, "the living access token is refused"
        assert_gone_at_id(browser, answer.header("location") or "")


def assert_gone_at_id(browser: Browser, onward: str) -> None:
    """The browser goes on to `id`, where the sign-on session ends; the next sign-in asks for the password."""
    assert onward.startswith(f"{ISSUER}/logout?")
    last = browser.auth.call("GET", onward.removeprefix(ISSUER), headers={"accept": "text/html"})
    assert (last.status, last.header("location")) == (303, f"{APP}/")
    assert browser.auth.tables.sessions == {}
    start = browser.begin()
    asked = browser.auth.call("GET", start.removeprefix(ISSUER), headers={"accept": "text/html"})
    assert path_of(asked.header("location")) == "/signin"


def test_a_script_hears_where_to_go_on() -> None:
    with Browser() as browser:
        browser.sign_in()
        browser.post("/bff/refresh")
        answer = browser.post("/bff/logout")
        assert answer.status == 200
        assert answer.header("clear-site-data") == '"cache", "storage"'
        assert browser.cookies == {}
        assert browser.session()["signed_in"] is False
        assert_gone_at_id(browser, str(answer.json["continue"]))


def test_cookies_that_were_kept_are_worth_nothing() -> None:
    with Browser() as browser:
        browser.sign_in()
        kept = dict(browser.cookies)
        browser.post("/bff/logout")
        browser.cookies = kept
        assert browser.session()["signed_in"] is False
        assert browser.post("/bff/refresh").status == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"x-csrf-token": "A" * 22},
        {"x-csrf-token": ""},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "content-type": FORM},
    ],
)
def test_nobody_else_signs_her_out(headers: dict[str, str]) -> None:
    with Browser() as browser:
        browser.sign_in()
        browser.wire.asked.clear()
        answer = browser.post("/bff/logout", headers)
        assert answer.status == 403
        assert not answer.all("set-cookie")
        assert answer.header("clear-site-data") is None
        assert browser.wire.asked == []
        assert browser.session()["signed_in"] is True


def test_auth_away_pretends_nothing() -> None:
    with Browser() as browser:
        browser.sign_in()
        before = dict(browser.cookies)
        browser.wire.cut = True
        answer = browser.post("/bff/logout")
        assert answer.status == 503
        assert answer.header("retry-after")
        assert browser.cookies == before


def test_signing_out_twice_is_no_fault() -> None:
    with Browser() as browser:
        assert browser.call("POST", "/bff/logout", SCRIPT).status == 200
        assert urlsplit(str(browser.call("POST", "/bff/logout", SCRIPT).json["continue"])).path == "/logout"
