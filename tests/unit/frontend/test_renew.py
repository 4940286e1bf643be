"""Flows §4: `/bff/renew`, rule by rule."""

from __future__ import annotations

import pytest
from tests.unit.auth import house as auth_house
from tests.unit.auth.house import APP
from tests.unit.frontend.house import AT, CLICKED, CSRF, FROM_ELSEWHERE, HOP, RT, SCRIPT, TYPED, Browser, read_cookies

from bartizan.auth import keys
from bartizan.frontend import auth_client
from bartizan.model.clients import Mode

BEAT = {**SCRIPT, "content-type": "application/json"}


def test_i_from_another_site_nothing_is_touched() -> None:
    with Browser() as browser:
        browser.sign_in()
        before = dict(browser.cookies)
        browser.wire.asked.clear()
        for headers in (FROM_ELSEWHERE, TYPED, {**TYPED, "sec-fetch-site": "same-site"}):
            answer = browser.call("GET", "/bff/renew?return_to=/a?b=1&c=2", headers)
            assert answer.status == 200
            assert answer.header("refresh") == "0; url=/bff/renew?hop=1&return_to=/a?b=1&c=2"
            assert not answer.all("set-cookie")
        assert browser.wire.asked == []
        assert browser.cookies == before


@pytest.mark.parametrize("headers", [CLICKED, FROM_ELSEWHERE])
def test_ii_a_good_refresh_cookie_renews(headers: dict[str, str]) -> None:
    with Browser() as browser:
        browser.sign_in()
        old, kept = browser.cookies.pop(AT), dict(browser.cookies)
        hop = "" if headers is CLICKED else "hop=1&"
        # The request after a refresh of our own page: browsers say same-origin or none, and Strict cookies come along.
        sent = CLICKED if headers is CLICKED else TYPED
        answer = browser.call("GET", f"/bff/renew?{hop}return_to=/a?b=1&c=%20", sent)
        assert (answer.status, answer.header("location")) == (303, "/a?b=1&c=%20")
        assert browser.cookies[AT] != old
        assert browser.cookies[RT] != kept[RT]
        hopped = read_cookies(answer)[HOP]
        assert hopped.max_age == 10
        assert hopped.attributes == {"Path=/", "Secure", "HttpOnly", "SameSite=Strict"}


def test_ii_a_valid_access_cookie_just_goes_back() -> None:
    with Browser() as browser:
        browser.sign_in()
        tokens = (browser.cookies[AT], browser.cookies[RT])
        answer = browser.call("GET", "/bff/renew?return_to=/a", CLICKED)
        assert (answer.status, answer.header("location")) == (303, "/a")
        assert (browser.cookies[AT], browser.cookies[RT]) == tokens


def test_ii_nobody_goes_to_the_sign_in_page() -> None:
    with Browser() as browser:
        answer = browser.call("GET", "/bff/renew?hop=1&return_to=/a?b=1&c=2", TYPED)
        assert (answer.status, answer.header("location")) == (303, "/bff/login?return_to=/a?b=1&c=2")


def test_ii_a_link_of_another_site_signs_nobody_out() -> None:
    """Somebody links to the second address of (i) itself: no Strict cookie comes along, and none may be deleted."""
    with Browser() as browser:
        browser.sign_in()
        sent = {**FROM_ELSEWHERE, "cookie": f"{CSRF}={browser.cookies[CSRF]}"}  # Lax, as browsers do
        answer = browser.call("GET", "/bff/renew?hop=1&return_to=/", sent)
        assert (answer.status, answer.header("location")) == (303, "/bff/login?return_to=/")
        assert answer.all("set-cookie") == []


def test_ii_refused_goes_to_the_sign_in_page_without_cookies() -> None:
    with Browser() as browser:
        browser.sign_in()
        browser.auth.end_session()
        del browser.cookies[AT]
        answer = browser.call("GET", "/bff/renew?return_to=/a", CLICKED)
        assert (answer.status, answer.header("location")) == (303, "/bff/login?return_to=/a")
        assert browser.cookies == {}


def test_iii_renewed_a_moment_ago_and_still_nothing_is_a_page() -> None:
    with Browser() as browser:
        browser.sign_in()
        del browser.cookies[AT]
        browser.call("GET", "/bff/renew?return_to=/a", CLICKED)
        del browser.cookies[AT]
        browser.wire.asked.clear()
        answer = browser.call("GET", "/bff/renew?return_to=/a", CLICKED)
        assert answer.status == 400
        assert "cookies" in answer.text
        assert "clock" in answer.text
        assert 'href="/bff/login?return_to=/a"' in answer.text
        assert answer.header("location") is None
        assert answer.header("refresh") is None
        assert browser.wire.paths() == ["/introspect"], "whether signing in would help; asking rotates nothing"
        assert browser.call("POST", "/bff/renew?return_to=/a", BEAT).status == 401


def test_iii_a_hop_of_another_version_counts() -> None:
    with Browser() as browser:
        browser.sign_in()
        del browser.cookies[AT]
        browser.cookies[HOP] = "1"
        assert browser.call("GET", "/bff/renew?return_to=/a", CLICKED).status == 400


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_other_methods_are_sent_back_as_they_came(method: str) -> None:
    with Browser() as browser:
        browser.sign_in()
        del browser.cookies[AT]
        answer = browser.call(method, "/bff/renew?return_to=/api/x?y=1", BEAT, b"x" * 100_000)
        assert (answer.status, answer.header("location")) == (307, "/api/x?y=1")
        assert AT in browser.cookies


def test_a_scripts_get_is_sent_back_by_307() -> None:
    with Browser() as browser:
        browser.sign_in()
        del browser.cookies[AT]
        assert browser.call("GET", "/bff/renew?return_to=/api", SCRIPT).status == 307


def test_a_body_without_end_is_not_read_without_end() -> None:
    from bartizan.frontend import renew

    with Browser() as browser:
        browser.sign_in()
        answer = browser.call("POST", "/bff/renew?return_to=/api", BEAT, b"x" * (renew.BODY_LIMIT + 1))
        assert answer.status == 413


def test_signed_out_is_json_for_a_script_and_a_page_for_a_form() -> None:
    with Browser() as browser:
        script = browser.call("POST", "/bff/renew?return_to=/api", BEAT)
        assert script.status == 401
        assert script.json["error"] == "signed_out"
        form = browser.call("POST", "/bff/renew?return_to=/views", CLICKED)
        assert form.status == 401
        assert (form.header("content-type") or "").startswith("text/html")


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_an_unsafe_request_from_elsewhere_renews_nothing(site: str) -> None:
    with Browser() as browser:
        browser.sign_in()
        browser.wire.asked.clear()
        for query in ("return_to=/api", "hop=1&return_to=/api"):
            answer = browser.call("POST", f"/bff/renew?{query}", {**BEAT, "sec-fetch-site": site})
            assert answer.status == 403
        assert browser.wire.asked == []


def test_old_browsers_pass_by_their_origin() -> None:
    with Browser() as browser:
        browser.sign_in()
        del browser.cookies[AT]
        for origin, status in (("https://evil.example", 403), (APP, 307)):
            answer = browser.call("POST", "/bff/renew?return_to=/api", {"accept": "*/*", "origin": origin})
            assert answer.status == status


def test_what_the_gateway_refuses_and_we_find_valid_is_asked_of_the_auth_server() -> None:
    """An access token that was ended looks valid here. Only the auth server knows, and it is asked before a round."""
    with Browser() as browser:
        browser.sign_in()
        browser.auth.end_session()
        answer = browser.call("GET", "/bff/renew?return_to=/a", CLICKED)
        assert (answer.status, answer.header("location")) == (303, "/bff/login?return_to=/a")
        assert browser.cookies == {}


def _renewed_a_moment_ago(browser: Browser) -> None:
    browser.sign_in()
    del browser.cookies[AT]
    assert browser.call("GET", "/bff/renew?return_to=/before", CLICKED).header("location") == "/before"
    assert browser.cookies[HOP].startswith("r")


@pytest.mark.parametrize("kept", [{AT, RT}, {RT}, {AT}, set()], ids=["all", "no-access", "no-refresh", "hop-alone"])
def test_ended_a_moment_after_a_renewal_is_a_sign_in_and_no_loop(kept: set[str]) -> None:
    """An administrator, a thief noticed, a sign-out elsewhere whose answer crossed ours: signing in helps."""
    with Browser() as browser:
        _renewed_a_moment_ago(browser)
        browser.auth.end_session()
        for name in {AT, RT} - kept:
            del browser.cookies[name]
        answer = browser.call("GET", "/bff/renew?return_to=/a", CLICKED)
        assert (answer.status, answer.header("location")) == (303, "/bff/login?return_to=/a")
        assert browser.cookies == {}


def test_ended_a_moment_after_a_renewal_is_signed_out_for_a_script() -> None:
    with Browser() as browser:
        _renewed_a_moment_ago(browser)
        browser.auth.end_session()
        answer = browser.call("POST", "/bff/renew?return_to=/api/x", BEAT)
        assert (answer.status, answer.json["error"]) == (401, "signed_out")
        assert browser.cookies == {}


def test_an_app_of_many_requests_is_told_at_once_that_its_session_has_ended() -> None:
    """Each address counts its own rounds, and the cookie holds one: side by side they would go round for ever."""
    with Browser() as browser:
        browser.sign_in()
        browser.auth.end_session()
        before = dict(browser.cookies)
        for number in range(6):
            browser.cookies = dict(before)  # sent together: none has seen another's answer
            assert browser.call("GET", f"/bff/renew?return_to=/api/{number}", SCRIPT).status == 401


async def _superseded(*_: object) -> bool:
    return False


def test_a_token_that_a_burst_of_tabs_left_behind_signs_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Introspection calls it superseded, and no sign-in follows from that: the token endpoint still honours it."""
    with Browser() as browser:
        _renewed_a_moment_ago(browser)
        old = browser.cookies[RT]
        with monkeypatch.context() as patched:
            patched.setattr(auth_client.AuthServer, "alive", _superseded)
            answer = browser.call("GET", "/bff/renew?return_to=/a", CLICKED)
        assert (answer.status, answer.header("location")) == (303, "/a")
        assert browser.cookies[RT] != old
        assert browser.session()["signed_in"] is True


def test_an_outage_of_the_auth_server_ends_no_valid_session() -> None:
    with Browser() as browser:
        browser.sign_in()
        before = dict(browser.cookies)
        browser.wire.cut = True
        answer = browser.call("GET", "/bff/renew?return_to=/a", CLICKED)
        assert (answer.status, answer.header("location")) == (303, "/a")
        assert {name: browser.cookies[name] for name in before} == before


def _until_the_page(browser: Browser, *, keeps_access: bool) -> int:
    """How often it is sent back before it is told."""
    for sent_back in range(10):
        if not keeps_access:
            browser.cookies.pop(AT, None)
        answer = browser.call("GET", "/bff/renew?return_to=/a", CLICKED)
        if answer.status == 400:
            return sent_back
        assert (answer.status, answer.header("location")) == (303, "/a")
    raise AssertionError("a loop")


@pytest.mark.parametrize(("keeps_access", "most"), [(True, 8), (False, 1)])
def test_every_real_loop_ends_in_the_page_and_is_no_storm_of_rotations(keeps_access: bool, most: int) -> None:
    """The app answers 401 whatever comes, or the browser keeps no access cookie: signing in would not help."""
    with Browser() as browser:
        browser.sign_in()
        browser.wire.asked.clear()
        assert _until_the_page(browser, keeps_access=keeps_access) == most
        assert browser.wire.paths().count("/token") == 1
        assert browser.session()["signed_in"] is True


def test_a_loop_with_a_token_left_behind_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Honoured each time it is asked for, and never newer: rounds bound that as well."""
    with Browser() as browser:
        browser.sign_in()
        monkeypatch.setattr(auth_client.AuthServer, "alive", _superseded)
        old = browser.cookies[RT]
        assert _until_the_page(browser, keeps_access=True) == 8
        newest = browser.cookies[RT]
        assert newest != old
        page = browser.call("GET", "/bff/renew?return_to=/a", CLICKED)
        assert (page.status, browser.cookies[RT] == newest) == (400, False), "what was rotated is not thrown away"
        script = browser.call("POST", "/bff/renew?return_to=/a", BEAT)
        assert script.status == 307, "of another address"


def test_a_loop_after_a_renewal_ends_in_a_page() -> None:
    """The gateway refuses what we renew, whatever we do: fewer rounds than browsers would make."""
    with Browser() as browser:
        browser.sign_in()
        answers = [browser.call("GET", "/bff/renew?return_to=/a", CLICKED) for _ in range(10)]
        assert [answer.status for answer in answers][-1] == 400
        assert 1 <= browser.wire.paths().count("/token") <= 2


def test_requests_refused_together_and_sent_back_one_by_one_are_no_loop() -> None:
    with Browser() as browser:
        browser.sign_in()
        del browser.cookies[AT]
        for number in range(20):
            answer = browser.call("POST", f"/bff/renew?return_to=/api/{number}", BEAT)
            assert (answer.status, answer.header("location")) == (307, f"/api/{number}")
        assert browser.wire.paths().count("/token") == 2, "the sign-in's and one renewal"


def test_the_csrf_value_outlives_renewals() -> None:
    with Browser() as browser:
        browser.sign_in()
        value = browser.cookies[CSRF]
        for _ in range(3):
            browser.later(301)
            browser.call("GET", "/bff/renew?return_to=/a", CLICKED)
        assert browser.cookies[CSRF] == value
        assert browser.auth.claims(browser.cookies[AT])["csrf"] == value


def test_auth_away_is_503_and_keeps_the_session() -> None:
    with Browser() as browser:
        browser.sign_in()
        del browser.cookies[AT]
        before = dict(browser.cookies)
        browser.wire.cut = True
        answer = browser.call("GET", "/bff/renew?return_to=/a", CLICKED)
        assert answer.status == 503
        assert answer.header("retry-after")
        assert browser.cookies == before


def test_memory_mode_says_that_pages_cannot_be_renewed() -> None:
    with Browser(Mode.MEMORY) as browser:
        browser.sign_in()
        before = dict(browser.cookies)
        answer = browser.call("GET", "/bff/renew?return_to=/a", CLICKED)
        assert answer.status == 403
        assert "memory_mode" in answer.text
        assert browser.cookies == before


def test_a_key_withdrawn_a_moment_after_a_renewal_is_no_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """F§7: too much has ended to be listed, and this browser, which renewed just before, lives on."""
    monkeypatch.setattr(auth_client, "_KEYS_OLD_AFTER", 0)
    with Browser() as browser:
        browser.sign_in()
        del browser.cookies[AT]
        assert browser.call("GET", "/bff/renew?return_to=/a", CLICKED).header("location") == "/a"
        old, house = browser.cookies[AT], browser.auth
        (kid,) = house.tables.keys
        ports = house.ports
        done = keys.withdraw(auth_house.SETTINGS, ports.store, ports.ring, ports.clock, ports.chance, kid)
        assert house.loop.run_until_complete(done)
        house.later(keys.REFRESH_SECONDS)
        assert browser.call("GET", "/bff/renew?return_to=/a", CLICKED).header("location") == "/a"
        assert browser.cookies[AT] != old
        answers = [browser.call("GET", "/bff/renew?return_to=/a", CLICKED) for _ in range(10)]
        assert [answer.status for answer in answers][-1] == 400, "and one that is a loop is still found out"
