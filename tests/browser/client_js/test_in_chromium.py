"""The browser client in Debian's Chromium, before a BFF that is played: tabs, sign-out, CSRF, storage, size."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page
from tests.browser.client_js.played_bff import Played, played

from bartizan.frontend.client import folder

pytestmark = pytest.mark.browser


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context()
    context.set_default_timeout(10_000)
    yield context
    context.close()


def tab(context: BrowserContext, bff: Played) -> Page:
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"{bff.origin}/")
    page.wait_for_function("window.bz !== undefined")
    assert page.evaluate("bz.user().then(user => user && user.name)") == "Alice"
    assert faults == []
    return page


def test_the_size_that_we_promise() -> None:
    cookie = (folder() / "bartizan.js").read_bytes()
    memory = cookie + (folder() / "bartizan-memory.js").read_bytes()
    assert len(gzip.compress(cookie, 9)) <= 3 * 1024
    assert len(gzip.compress(memory, 9)) <= 6 * 1024


def test_one_session_request_a_page_life(context: BrowserContext) -> None:
    with played() as bff:
        page = tab(context, bff)
        page.evaluate("Promise.all([bz.user(), bz.user(), bz.fetch('/api/a'), bz.user()]).then(() => 1)")
        assert bff.count("/bff/session") == 1


def test_the_csrf_value_goes_with_unsafe_requests_to_this_site_alone(context: BrowserContext) -> None:
    with played() as bff, played() as other:
        page = tab(context, bff)
        page.evaluate("bz.fetch('/api/a', {method: 'POST', body: '{}'}).then(answer => answer.status)")
        assert bff.headers_of("POST", "/api/a")["x-csrf-token"] == bff.csrf
        page.evaluate("bz.fetch('/api/a').then(answer => answer.status)")
        assert "x-csrf-token" not in bff.headers_of("GET", "/api/a")
        page.evaluate(f"bz.fetch('{other.origin}/api/a', {{method: 'POST'}}).catch(() => 0).then(() => 1)")
        assert all("x-csrf-token" not in headers for _, _, headers in other.asked)
        assert page.evaluate("bz.headers('DELETE')") == {"X-CSRF-Token": bff.csrf}


def test_tabs_that_refresh_at_the_same_instant_ask_once(context: BrowserContext) -> None:
    with played() as bff:
        tabs = [tab(context, bff) for _ in range(3)]
        bff.slow = 0.4
        for page in tabs:
            page.evaluate("window.done = bz.refresh().then(() => 'renewed'); 1")
        assert [page.evaluate("window.done") for page in tabs] == ["renewed"] * 3
        assert bff.count("/bff/refresh") == 1


def test_a_sign_out_is_known_in_all_tabs_within_a_second(context: BrowserContext) -> None:
    with played() as bff:
        first, second = tab(context, bff), tab(context, bff)
        second.evaluate("window.stay = true; 1")
        first.evaluate("bz.logout().then(() => 1)")
        begun = time.monotonic()
        second.wait_for_function("window.seen.includes('signed-out')")
        assert time.monotonic() - begun < 1
        first.wait_for_url("**/other")
        assert second.evaluate("bz.user()") is None


def test_a_page_that_shows_alice_never_posts_as_bob(context: BrowserContext) -> None:
    with played() as bff:
        page = tab(context, bff)
        page.evaluate("window.stay = true; 1")
        bff.csrf = "bob-value-0123456789"
        context.new_page().goto(f"{bff.origin}/")  # another tab, where Bob has signed in
        told = page.evaluate("bz.fetch('/api/a', {method: 'POST'}).then(() => 'sent', error => error.code)")
        assert told != "sent" or page.evaluate("window.seen.length") > 0
        assert all(headers.get("x-csrf-token") != "alice-value-0123456789" for _, _, headers in bff.asked)
        page.wait_for_function("window.seen.length > 0")


def test_an_ended_session_is_told_once_and_loads_the_page_again(context: BrowserContext) -> None:
    with played() as bff:
        page = tab(context, bff)
        bff.csrf = None
        with page.expect_navigation():
            page.evaluate("bz.refresh().catch(() => 1); 1")
        page.wait_for_function("window.bz !== undefined")
        assert page.evaluate("bz.user()") is None


def test_memory_mode_keeps_the_token_in_a_variable(context: BrowserContext) -> None:
    with played("memory") as bff:
        page = tab(context, bff)
        page.evaluate("bz.fetch('/api/a').then(answer => answer.status)")
        assert bff.headers_of("GET", "/api/a")["authorization"] == "Bearer token-1"
        kept = page.evaluate(
            "indexedDB.databases().then(all => [localStorage.length, sessionStorage.length, all.length, location.href])"
        )
        assert kept == [0, 0, 0, f"{bff.origin}/"]
        assert page.evaluate("JSON.stringify(Object.keys(window.bz))").find("token") == -1


def test_cookie_mode_never_asks_for_a_token(context: BrowserContext) -> None:
    with played() as bff:
        page = tab(context, bff)
        page.evaluate("bz.refresh().then(() => bz.fetch('/api/a', {method: 'POST'})).then(() => 1)")
        assert all("authorization" not in headers for _, _, headers in bff.asked)
