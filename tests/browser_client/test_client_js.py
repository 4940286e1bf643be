"""The browser client (flows §3, §4, §11) in Debian's Chromium, before a frontend in miniature."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from tests.browser_client.fake_bff import FakeBff, start

from bartizan.frontend.client import COOKIE, MEMORY, folder

pytestmark = pytest.mark.browser

POST = "code(bz.fetch('/api', {method: 'POST', body: 'x'}))"
OFTEN = """async () => {
  const fetch = window.fetch;
  let requests = 0;
  window.fetch = (...words) => { requests += 1; return fetch(...words); };
  const codes = await Promise.all([1, 2, 3].map(() => code(bz.refresh())));
  codes.push(await code(bz.refresh()));
  return [codes, requests];
}"""
CALM = "bz.events.addEventListener('session-changed', event => event.preventDefault())"  # so that the page stays


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as play:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def bff() -> Iterator[FakeBff]:
    fake = FakeBff()
    server = start(fake)
    with closing(server.socket):
        yield fake
        fake.gate.set()
        server.shutdown()


@pytest.fixture
def context(chromium: Browser, bff: FakeBff) -> Iterator[BrowserContext]:
    made = chromium.new_context()
    made.set_default_timeout(8000)
    yield made
    made.close()


def sign_in(context: BrowserContext, bff: FakeBff, person: str = "alice") -> None:
    context.add_cookies(bff.sign_in(person))  # type: ignore[arg-type]  # plain dicts for its TypedDict


def tab(context: BrowserContext, bff: FakeBff) -> Page:
    page = context.new_page()
    page.goto(f"{bff.origin}/")
    page.wait_for_function("() => window.born")
    return page


def person(page: Page) -> object:
    return page.evaluate("bz.user().then(user => user && user.name)")


def wait_for_reload(page: Page, born: object) -> None:
    page.wait_for_function("before => window.born && window.born !== before", arg=born, timeout=1000)


def test_as_served_it_is_small() -> None:
    cookie, memory = (len(gzip.compress((folder() / name).read_bytes(), 9, mtime=0)) for name in (COOKIE, MEMORY))
    assert cookie <= 3 * 1024
    assert cookie + memory <= 6 * 1024


def test_unsafe_methods_carry_the_csrf_value_and_safe_ones_do_not(context: BrowserContext, bff: FakeBff) -> None:
    sign_in(context, bff)
    page = tab(context, bff)
    assert person(page) == "alice"
    assert page.evaluate("code(bz.fetch('/api'))") == 200
    assert bff.last("/api").csrf is None
    assert page.evaluate(POST) == 200
    assert bff.last("/api").csrf == next(iter(bff.people.values()))[1]
    assert page.evaluate("bz.headers('DELETE').then(found => found['X-CSRF-Token'])") == bff.last("/api").csrf
    assert page.evaluate("bz.headers('GET').then(found => JSON.stringify(found))") == "{}"
    assert page.evaluate("violations") == []
    page.evaluate("Promise.all([bz.user(), bz.user(), bz.fetch('/api'), bz.user()]).then(() => 1)")
    assert bff.count("/bff/session") == 1, "one session request a page life"
    assert page.evaluate("code(bz.refresh())") == "done"
    assert page.evaluate(POST) == 200
    assert all(one.authorization is None for one in bff.asked), "cookie mode never asks for a token"


def test_another_origin_gets_nothing(context: BrowserContext, bff: FakeBff) -> None:
    sign_in(context, bff)
    page = tab(context, bff)
    page.evaluate("bz.user()")
    elsewhere = f"http://127.0.0.1:{bff.port}/api"
    with page.expect_request(elsewhere) as sent:
        page.evaluate("address => code(bz.fetch(address, {method: 'POST', mode: 'no-cors'}))", elsewhere)
    assert "x-csrf-token" not in sent.value.headers


def test_ten_tabs_near_the_end_renew_once(context: BrowserContext, bff: FakeBff) -> None:
    sign_in(context, bff)
    pages = [tab(context, bff) for _ in range(10)]
    for page in pages:
        page.evaluate("bz.user()")
    bff.gate.clear()
    for page in pages:  # all of them want it while the first one's answer is held back
        page.evaluate("() => { window.renewed = code(bz.refresh()); }")
    bff.gate.set()
    assert [page.evaluate("renewed") for page in pages] == ["done"] * 10
    assert bff.count("/bff/refresh") == 1


def test_two_tabs_renew_once_by_themselves_before_the_end(context: BrowserContext, bff: FakeBff) -> None:
    sign_in(context, bff)
    bff.first_lifetime = 3
    first, second = tab(context, bff), tab(context, bff)
    with context.expect_event("response", lambda answer: answer.url.endswith("/bff/refresh")):
        for page in (first, second):
            page.evaluate("bz.user()")
    first.wait_for_timeout(3000)  # past the end that the other tab first knew of, so it would have had to
    assert bff.count("/bff/refresh") == 1


def test_a_sign_out_is_seen_in_the_other_tab_within_a_second(context: BrowserContext, bff: FakeBff) -> None:
    sign_in(context, bff)
    first, second = tab(context, bff), tab(context, bff)
    for page in (first, second):
        page.evaluate("bz.user()")
    second.evaluate(CALM)
    first.evaluate("() => { bz.logout(); }")
    second.wait_for_function("() => heard.join() === 'signed-out,session-changed'", timeout=1000)
    first.wait_for_url("**/elsewhere")
    assert person(second) is None


def test_a_cookie_changed_under_the_page_stops_it(context: BrowserContext, bff: FakeBff) -> None:
    """A tab that shows Alice never posts as Bob."""
    sign_in(context, bff)
    page = tab(context, bff)
    assert person(page) == "alice"
    page.evaluate(CALM)
    sign_in(context, bff, "bob")
    before = bff.count("/api")
    assert page.evaluate(POST) in ("session_changed", 200)
    page.wait_for_function("() => heard.includes('session-changed')", timeout=1000)
    used = [one.csrf for one in bff.asked if one.path == "/api"][before:]
    bobs = [csrf for name, csrf in bff.people.values() if name == "bob"]
    assert used in ([], bobs), "nothing was sent for Alice after Bob came"
    assert person(page) == "bob"


def test_by_default_a_changed_session_loads_the_page_again(context: BrowserContext, bff: FakeBff) -> None:
    sign_in(context, bff)
    page = tab(context, bff)
    page.evaluate("bz.user()")
    born = page.evaluate("born")
    sign_in(context, bff, "bob")
    tab(context, bff).evaluate("bz.user()")
    wait_for_reload(page, born)
    assert person(page) == "bob"


def test_a_csrf_refusal_changes_the_session(context: BrowserContext, bff: FakeBff) -> None:
    sign_in(context, bff)
    page = tab(context, bff)
    page.evaluate(CALM)
    bff.refuse_csrf = True
    assert page.evaluate(POST) == "session_changed"
    assert page.evaluate("heard") == ["session-changed"]


def test_a_401_is_renewed_and_sent_again_once(context: BrowserContext, bff: FakeBff) -> None:
    sign_in(context, bff)
    page = tab(context, bff)
    bff.refuse = 1
    assert page.evaluate("bz.fetch('/api', {method: 'POST', body: 'four'}).then(a => a.json()).then(a => a.size)") == 4
    assert (bff.count("/api"), bff.count("/bff/refresh")) == (2, 1)
    bff.refuse = 2
    assert page.evaluate(POST) == "unauthorized"
    assert (bff.count("/api"), bff.count("/bff/refresh")) == (4, 2)


def test_nobody_signed_in(context: BrowserContext, bff: FakeBff) -> None:
    page = tab(context, bff)
    assert person(page) is None
    assert page.evaluate(POST) == "signed_out"
    assert page.evaluate("code(bz.refresh())") == "signed_out"
    assert bff.count("/bff/refresh") == 0
    born = page.evaluate("born")
    sign_in(context, bff)
    tab(context, bff).evaluate("bz.user()")
    wait_for_reload(page, born)
    assert person(page) == "alice"


def test_large_bodies_renew_first_and_are_not_sent_twice(context: BrowserContext, bff: FakeBff) -> None:
    sign_in(context, bff)
    bff.first_lifetime = 60
    page = tab(context, bff)
    big = "code(bz.fetch('/api', {method: 'POST', body: new Blob([new Uint8Array(5 * 2 ** 20)])}))"
    page.evaluate("bz.user()")
    assert page.evaluate(big) == 200
    assert bff.count("/bff/refresh") == 0, "no need: there is time"
    page.evaluate("() => { const now = Date.now; Date.now = () => now() + 45e3; }")
    assert page.evaluate(big) == 200
    assert [one.path for one in bff.asked[-2:]] == ["/bff/refresh", "/api"]
    bff.refuse = 1
    before = bff.count("/api")
    assert page.evaluate(big) == "unauthorized"
    assert bff.count("/api") == before + 1


def test_an_auth_server_that_is_away_ends_nothing_and_is_left_in_peace(context: BrowserContext, bff: FakeBff) -> None:
    sign_in(context, bff)
    page = tab(context, bff)
    page.evaluate("bz.user()")
    bff.away = True
    with page.expect_response(lambda answer: answer.url.endswith("/bff/refresh") and answer.status == 200):
        codes, requests = page.evaluate(OFTEN)
        assert codes == ["unavailable"] * 4
        assert requests == 1
        assert page.evaluate("heard") == []
        assert page.evaluate("code(bz.fetch('/api'))") == 200
        bff.away = False  # and it comes back by itself, a little later


def test_a_session_ended_elsewhere_is_noticed_when_the_tab_is_looked_at(context: BrowserContext, bff: FakeBff) -> None:
    sign_in(context, bff)
    page = tab(context, bff)
    page.evaluate("bz.user()")
    page.evaluate(CALM)
    bff.people.clear()
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_function("() => heard.includes('signed-out')")
    assert person(page) is None
    for _ in range(3):  # its cookies are still there, and that is no reason to load the page again and again
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    assert page.evaluate("code(bz.fetch('/api'))") == "signed_out"
    assert page.evaluate("heard") == ["signed-out", "session-changed"]


def test_a_lost_csrf_cookie_is_brought_back(context: BrowserContext, bff: FakeBff) -> None:
    sign_in(context, bff)
    context.clear_cookies(name=bff.name("csrf"))
    page = tab(context, bff)
    assert person(page) == "alice"
    assert page.evaluate(POST) == 200
    assert page.evaluate("heard") == []


def test_out_of_the_back_forward_cache_nothing_private_comes(context: BrowserContext, bff: FakeBff) -> None:
    sign_in(context, bff)
    page = tab(context, bff)
    page.evaluate("bz.user()")
    page.evaluate("bz.events.addEventListener('session-changed', event => event.stopImmediatePropagation())")
    gone = page.evaluate("""() => {
      Object.defineProperty(document, 'cookie', {get: () => ''});
      dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}));
      return document.querySelector('#private');
    }""")
    assert gone is None
    page.wait_for_selector("#private")  # a fresh one, by the reload


def test_the_way_to_sign_in(context: BrowserContext, bff: FakeBff) -> None:
    page = tab(context, bff)
    page.evaluate("() => bz.login('/a?b=1&c=2')")
    page.wait_for_url("**/bff/login?return_to=/a?b=1&c=2")


EVERYWHERE = """async () => {
  const seen = [document.cookie, location.href, document.documentElement.outerHTML];
  for (const store of [localStorage, sessionStorage]) seen.push(JSON.stringify(store));
  for (const one of await indexedDB.databases()) seen.push('database ' + one.name);
  for (const name of await caches.keys()) seen.push('cache ' + name);
  for (const key of Object.keys(window)) if (typeof window[key] === 'string') seen.push(window[key]);
  for (const value of Object.values(bz)) seen.push(String(value));
  return seen.join(' ');
}"""


def test_memory_mode_keeps_the_token_in_a_variable(context: BrowserContext, bff: FakeBff) -> None:
    bff.memory = True
    sign_in(context, bff)
    page = tab(context, bff)
    assert person(page) == "alice"
    assert page.evaluate(POST) == 200
    assert bff.last("/api").authorization == f"Bearer {bff.tokens[-1]}"
    assert page.evaluate("code(bz.fetch('/api'))") == 200
    assert bff.count("/bff/refresh") == 1
    everywhere = str(page.evaluate(EVERYWHERE))
    assert not [token for token in bff.tokens if token in everywhere]
    assert not [cookie for cookie in context.cookies() if cookie.get("value") in bff.tokens]
    first = bff.tokens[-1]
    page.reload()
    page.wait_for_function("() => window.born")
    assert page.evaluate("code(bz.fetch('/api'))") == 200
    assert bff.last("/api").authorization == f"Bearer {bff.tokens[-1]}" != f"Bearer {first}"
    elsewhere = f"http://127.0.0.1:{bff.port}/api"
    with page.expect_request(elsewhere) as sent:
        page.evaluate("address => code(bz.fetch(address, {mode: 'no-cors'}))", elsewhere)
    assert "authorization" not in sent.value.headers


def test_memory_mode_shares_a_renewal_and_forgets_at_sign_out(context: BrowserContext, bff: FakeBff) -> None:
    bff.memory = True
    sign_in(context, bff)
    first, second = tab(context, bff), tab(context, bff)
    for page in (first, second):
        assert page.evaluate("code(bz.fetch('/api'))") == 200
    before = bff.count("/bff/refresh")
    bff.gate.clear()
    for page in (first, second):
        page.evaluate("() => { window.renewed = code(bz.refresh()); }")
    bff.gate.set()
    for page in (first, second):
        assert page.evaluate("renewed") == "done"
        assert page.evaluate("code(bz.fetch('/api'))") == 200
        assert bff.last("/api").authorization == f"Bearer {bff.tokens[-1]}"
    assert bff.count("/bff/refresh") == before + 1
    second.evaluate(CALM)
    first.evaluate("() => { bz.logout(); }")
    second.wait_for_function("() => heard.includes('signed-out')", timeout=1000)
    assert second.evaluate("bz.headers('GET').then(found => found.Authorization ?? null)") is None
