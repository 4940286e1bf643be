"""Story 4: ten tabs at once, a lost answer, a sleeping laptop: nobody is logged out. A thief is caught."""

from __future__ import annotations

import re
import socket
import time
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from tests.browser import steps
from tests.browser.at_rest import AtRest
from tests.browser.site import Site
from tests.browser.wire import Answer, cookie_header, send

pytestmark = [pytest.mark.stack, pytest.mark.browser]


def _jar(context: BrowserContext, site: Site) -> dict[str, str]:
    return {cookie["name"]: cookie["value"] for cookie in context.cookies(site.app)}


def _refresh(site: Site, jar: dict[str, str], csrf: str) -> Answer:
    headers = {
        "Cookie": cookie_header(jar),
        "X-CSRF-Token": csrf,
        "Sec-Fetch-Site": "same-origin",
        "Origin": site.app,
    }
    return send("POST", f"{site.app}/bff/refresh", headers=headers, body=b"")


def _led_to_renewal(site: Site, jar: dict[str, str]) -> bool:
    """Whether the gateway itself refuses what a page load brings. The guard, which may know sooner, answers in its place
    otherwise."""
    headers = {"Cookie": cookie_header(jar), "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none"}
    answer = send("GET", f"{site.app}/views/photos", headers=headers)
    return answer.status == 303 and answer.header("location") == "/bff/renew?return_to=/views/photos"


def _with(jar: dict[str, str], answer: Answer) -> dict[str, str]:
    """The jar after the answer's Set-Cookie lines, as a browser would keep it."""
    new = dict(jar)
    for line in answer.all("set-cookie"):
        name, _, rest = line.partition("=")
        value = rest.partition(";")[0]
        if "max-age=0" in line.lower() or not value:
            new.pop(name, None)
        else:
            new[name] = value
    return new


def test_ten_tabs_refresh_at_the_same_instant_and_nobody_is_logged_out(page: Page, site: Site) -> None:
    steps.sign_up(page, site, *steps.new_person())
    tabs = [page, *(page.context.new_page() for _ in range(9))]
    for tab in tabs[1:]:
        tab.goto(f"{site.app}/")
    csrf = steps.cookies(page.context, site)["csrf"]["value"]
    at = time.time() * 1000 + 1500
    script = """([csrf, at]) => { window.result = new Promise(done => setTimeout(() => done(
      fetch('/bff/refresh', {method: 'POST', headers: {'X-CSRF-Token': csrf}}).then(answer => answer.status)),
      at - Date.now())); }"""
    for round_ in range(3):
        for tab in tabs:
            tab.evaluate(script, [csrf, at + round_ * 3000])
        assert [tab.evaluate("window.result") for tab in tabs] == [200] * 10
    steps.expire_access(page.context, site)
    for tab in tabs:
        tab.reload()
        expect(tab.locator("#sign-out")).to_be_visible(timeout=steps.TINY)


def test_an_answer_cut_off_on_the_wire_is_asked_for_again(browser: Browser, site: Site, at_rest: AtRest) -> None:
    """The rotation is committed, its answer never arrives. The same old token again, past the grace: a late retry."""
    context = browser.new_context()
    steps.sign_up(context.new_page(), site, *steps.new_person())
    jar = _jar(context, site)
    csrf = steps.cookies(context, site)["csrf"]["value"]
    parts = urlsplit(site.app)
    with socket.create_connection(("127.0.0.1", parts.port or 80)) as line:
        line.sendall(
            (
                f"POST /bff/refresh HTTP/1.1\r\nHost: {parts.netloc}\r\nCookie: {cookie_header(jar)}\r\n"
                f"X-CSRF-Token: {csrf}\r\nSec-Fetch-Site: same-origin\r\nOrigin: {site.app}\r\nContent-Length: 0\r\n\r\n"
            ).encode()
        )
        assert line.recv(1), "the rotation was answered; the rest of the answer is lost"
    at_rest.age(steps.cookies(context, site)["at"]["value"])
    answer = _refresh(site, jar, csrf)
    assert answer.status == 200, answer.body
    jar = _with(jar, answer)
    assert _refresh(site, jar, csrf).status == 200
    context.close()


def test_a_stolen_refresh_token_is_caught_and_only_its_session_ends(
    browser: Browser, site: Site, at_rest: AtRest
) -> None:
    email, password = steps.new_person()
    context = browser.new_context()
    page = context.new_page()
    steps.sign_up(page, site, email, password)
    steps.connect_printshop(page, site)
    page.goto(f"{site.app}/")
    steps.landed(page, site)
    stolen = _jar(context, site)
    csrf = steps.cookies(context, site)["csrf"]["value"]
    token = steps.cookies(context, site)["at"]["value"]

    for _ in range(2):  # she goes on, and not in one burst of tabs: two generations above the stolen one
        at_rest.age(token)
        got = page.evaluate(
            "csrf => fetch('/bff/refresh', {method: 'POST', headers: {'X-CSRF-Token': csrf}}).then(a => a.status)", csrf
        )
        assert got == 200
    steps.expire_access(context, site)
    page.goto(f"{site.app}/views/photos")
    page.wait_for_url(f"{site.app}/views/photos")
    assert "hop" in steps.cookies(context, site), "renewed a moment ago, in the middle of a navigation"
    fresh = steps.cookies(context, site)["at"]["value"]

    thief = _refresh(site, stolen, csrf)
    assert thief.status == 401, thief.body
    caught = time.monotonic()
    statuses: list[int] = []
    led = False
    while time.monotonic() - caught < 2.0:
        statuses = [
            send("GET", f"{site.app}/api/whoami", headers={"Authorization": f"Bearer {one}"}).status
            for one in (token, fresh)
        ]
        led = _led_to_renewal(site, _jar(context, site))
        if statuses == [401, 401] and led:
            break
        time.sleep(0.1)  # polling the two walls, up to the bar of 2 s
    assert statuses == [401, 401], "access of the ended family is refused within 2 s"
    assert led, "by the gateway too, not by the guard alone"

    page.goto(f"{site.app}/views/photos")
    signin = re.compile(re.escape(f"{site.id}/signin"))
    expect(page).to_have_url(signin)  # the thief's session ended with hers: she signs in again, and sees no loop
    steps.fill_sign_in(page, email, password)
    page.wait_for_url(f"{site.app}/views/photos")
    page.goto(f"{site.printshop}/")
    expect(page.locator("#photos")).to_be_visible(timeout=steps.TINY)  # her other app stayed signed in
    mail = steps.newest_mail_subject(context.new_page(), site, email)
    assert "ended a session" in mail
    context.close()

    admin = steps.admin_page(browser, site)
    admin.goto(f"{site.console}/events?code=refresh.theft")
    expect(admin.locator("main")).to_contain_text("Replayed session")
    admin.context.close()
