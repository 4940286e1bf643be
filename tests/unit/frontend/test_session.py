"""Flows §2, §3, §6: `/bff/session` and `/bff/refresh`, alone, ten at once, and with the auth server away."""

from __future__ import annotations

import asyncio

import pytest
from tests.unit.frontend.house import AT, CSRF, FROM_ELSEWHERE, RT, SCRIPT, Browser, read_cookies

from bartizan.model.clients import Mode


def test_nobody_is_signed_in() -> None:
    with Browser() as browser:
        answer = browser.call("GET", "/bff/session", SCRIPT)
        assert answer.json == {"signed_in": False, "mode": "cookie"}
        assert answer.header("cache-control") == "no-store"
        assert browser.wire.asked == []


@pytest.mark.parametrize("mode", list(Mode))
def test_who_is_signed_in(mode: Mode) -> None:
    with Browser(mode) as browser:
        browser.sign_in()
        answer = browser.call("GET", "/bff/session", SCRIPT)
        assert answer.json["signed_in"] is True
        assert answer.json["mode"] == mode.value
        assert answer.json["user"] == {
            "sub": "00000000-0000-0000-0000-000000000001",
            "name": "Ada",
            "email": "ada@example.test",
        }
        assert answer.json["csrf"] == browser.cookies[CSRF]
        assert "eyJ" not in answer.text
        assert "bzr_" not in answer.text
        assert not answer.all("set-cookie")


def test_no_endpoint_speaks_cors() -> None:
    with Browser() as browser:
        browser.sign_in()
        origin = {"origin": "https://evil.example"}
        for path in (
            "/bff/session",
            "/bff/login?return_to=/",
            "/bff/renew?return_to=/",
            "/bff/logout",
            "/bff/client.js",
        ):
            answer = browser.call("GET", path, {**FROM_ELSEWHERE, **origin})
            assert not [name for name, _ in answer.headers if name.startswith("access-control-")]
            assert answer.header("cross-origin-resource-policy") == "same-origin"


def test_a_session_that_was_ended_elsewhere_is_over() -> None:
    with Browser() as browser:
        browser.sign_in()
        browser.auth.end_session()
        assert browser.session()["signed_in"] is False


def test_cookie_mode_refresh_shows_no_token() -> None:
    with Browser() as browser:
        browser.sign_in()
        before = dict(browser.cookies)
        answer = browser.post("/bff/refresh")
        assert answer.status == 200
        assert set(answer.json) == {"expires_in"}
        assert answer.header("cache-control") == "no-store"
        assert browser.cookies[AT] != before[AT]
        assert browser.cookies[RT] != before[RT]
        assert browser.cookies[CSRF] == before[CSRF], "one value for the session's life"


def test_memory_mode_refresh_hands_the_token_over() -> None:
    with Browser(Mode.MEMORY) as browser:
        browser.sign_in()
        answer = browser.post("/bff/refresh?mode=cookie")
        assert set(answer.json) == {"access_token", "expires_in"}
        claims = browser.auth.claims(str(answer.json["access_token"]))
        assert "csrf" not in claims
        assert AT not in browser.cookies


def test_no_parameter_turns_a_cookie_session_into_a_memory_one() -> None:
    with Browser() as browser:
        browser.sign_in()
        for body in (b"mode=memory", b'{"mode":"memory"}'):
            answer = browser.post("/bff/refresh?mode=memory", {"x-mode": "memory"}, body)
            assert "access_token" not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"x-csrf-token": ""},
        {"x-csrf-token": "A" * 22},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
    ],
)
def test_refresh_needs_this_page_and_its_value(headers: dict[str, str]) -> None:
    with Browser() as browser:
        browser.sign_in()
        browser.wire.asked.clear()
        answer = browser.post("/bff/refresh", headers)
        assert answer.status == 403
        assert not answer.all("set-cookie")
        assert browser.wire.asked == []


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://app.localhost:8080", 200), ("null", 403), ("http://app.localhost", 403), (None, 403)],
)
def test_browsers_without_fetch_metadata_are_known_by_their_origin(origin: str | None, status: int) -> None:
    with Browser() as browser:
        browser.sign_in()
        headers = {"x-csrf-token": browser.cookies[CSRF], **({"origin": origin} if origin else {})}
        assert browser.call("POST", "/bff/refresh", headers).status == status


def test_ten_tabs_at_the_same_instant() -> None:
    with Browser() as browser:
        browser.sign_in()
        headers = {**SCRIPT, "x-csrf-token": browser.cookies[CSRF]}

        async def all_at_once() -> list[int]:
            tabs = (browser.sending("POST", "/bff/refresh", headers) for _ in range(10))
            return [answer.status for answer in await asyncio.gather(*tabs)]

        assert browser.auth.loop.run_until_complete(all_at_once()) == [200] * 10
        assert browser.session()["signed_in"] is True
        assert browser.post("/bff/refresh").status == 200


def test_an_answer_that_was_lost_is_asked_for_again() -> None:
    with Browser() as browser:
        browser.sign_in()
        browser.wire.lose_answers = 1
        assert browser.post("/bff/refresh").status == 200
        assert browser.post("/bff/refresh").status == 200


def test_a_refused_refresh_clears_our_cookies_by_name() -> None:
    with Browser() as browser:
        browser.sign_in()
        browser.cookies["theirs"] = "1"
        browser.auth.end_session()
        answer = browser.post("/bff/refresh")
        assert answer.status == 401
        assert answer.json["error"] == "signed_out"
        assert answer.header("clear-site-data") is None
        assert set(browser.cookies) == {"theirs"}
        assert {AT, RT, CSRF} <= set(read_cookies(answer))


def test_refresh_of_nobody_is_401() -> None:
    with Browser() as browser:
        assert browser.post("/bff/refresh").status == 401


def test_auth_away_signs_nobody_out() -> None:
    with Browser() as browser:
        browser.sign_in()
        before = dict(browser.cookies)
        browser.wire.cut = True
        answer = browser.post("/bff/refresh")
        assert answer.status == 503
        assert int(answer.header("retry-after") or "0") > 0
        assert not answer.all("set-cookie")
        assert browser.session()["signed_in"] is True
        browser.wire.cut = False
        assert browser.post("/bff/refresh").status == 200
        assert browser.cookies[CSRF] == before[CSRF]


def test_a_page_that_shows_another_person_never_acts() -> None:
    with Browser() as browser:
        browser.sign_in()
        old = browser.cookies[CSRF]
        browser.sign_in()
        assert browser.cookies[CSRF] != old
        for path in ("/bff/refresh", "/bff/logout"):
            answer = browser.post(path, {"x-csrf-token": old})
            assert answer.status == 403
            assert not answer.all("set-cookie")
        assert browser.session()["signed_in"] is True


def test_two_cookies_of_one_name_are_refused() -> None:
    with Browser() as browser:
        browser.sign_in()
        for method, path in (("GET", "/bff/session"), ("POST", "/bff/refresh"), ("POST", "/bff/logout")):
            twice = f"{RT}={browser.cookies[RT]}; {RT}=planted"
            answer = browser.call(method, path, {**SCRIPT, "x-csrf-token": browser.cookies[CSRF], "cookie": twice})
            assert answer.status == 400
            assert not answer.all("set-cookie")


def test_a_seal_of_another_cookie_opens_nothing() -> None:
    with Browser() as browser:
        browser.begin()
        (login,) = browser.cookies.values()
        browser.cookies[RT] = login
        assert browser.session() == {"signed_in": False, "mode": "cookie"}
        browser.cookies[RT] = "A" * 5000
        assert browser.session()["signed_in"] is False
