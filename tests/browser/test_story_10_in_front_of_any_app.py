"""Story 10: `bartizan up --app … --spa …` before a ten-line Flask app and a dev server that know nothing of us."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from tests.browser import steps
from tests.browser.site import Site
from tests.browser.wire import cookie_header, send

pytestmark = [pytest.mark.stack, pytest.mark.browser]


@pytest.fixture(scope="module")
def person(browser: Browser, front: Site) -> BrowserContext:
    context = browser.new_context()
    page = context.new_page()
    email, password = steps.new_person()
    created = front.cli("user", "create", email, "--password-stdin", "--verified", stdin=password)
    page.goto(f"{front.app}/bff/login")
    steps.fill_sign_in(page, email, password)
    page.wait_for_url(f"{front.app}/")
    context.set_default_timeout(steps.TINY)
    page.close()
    context.add_init_script(f"window.expected = {json.dumps(created['id'])}")
    return context


def test_signed_out_the_page_is_public_and_the_app_is_not(page: Page, front: Site) -> None:
    page.goto(f"{front.app}/")
    expect(page.locator("#who")).to_have_text("nobody 401")
    expect(page.locator("#socket")).to_have_text("echo ping")
    assert send("GET", f"{front.app}/api/open").status != 401, "--public opens"


def test_the_app_reads_who_it_is_and_its_own_scripts_and_forms_work(person: BrowserContext, front: Site) -> None:
    page = person.new_page()
    page.goto(f"{front.app}/")
    who = page.locator("#who")
    expect(who).not_to_contain_text("nobody")
    assert who.inner_text() == page.evaluate("window.expected")
    expect(page.locator("#socket")).to_have_text("echo ping")
    page.locator("#call").click()
    expect(page.locator("#posted")).to_contain_text("sent from the script to post")
    page.locator("#send").click()
    expect(page.locator("body")).to_contain_text("sent from the form to form")


def test_its_calls_and_forms_are_renewed_past_expiry(person: BrowserContext, front: Site) -> None:
    page = person.new_page()
    page.goto(f"{front.app}/")
    expect(page.locator("#who")).not_to_contain_text("nobody")
    steps.expire_access(person, front)
    page.locator("#call").click()
    expect(page.locator("#posted")).to_contain_text("sent from the script to post")
    steps.expire_access(person, front)
    page.locator("#send").click()
    expect(page.locator("body")).to_contain_text("sent from the form to form")


def test_a_client_forges_neither_header_nor_token(person: BrowserContext, front: Site) -> None:
    jar = {cookie["name"]: cookie["value"] for cookie in person.cookies(front.app)}
    real = send("GET", f"{front.app}/api/me", headers={"Cookie": cookie_header(jar)}).json()
    for name in ("X-Bartizan-User", "x-bartizan-user", "X-BARTIZAN-USER"):
        seen = send("GET", f"{front.app}/api/me", headers={"Cookie": cookie_header(jar), name: "mallory"})
        assert seen.json()["user"] == real["user"]
        assert send("GET", f"{front.app}/api/me", headers={name: "mallory"}).status == 401
    assert send("GET", f"{front.app}/api/me", headers={"X_Bartizan_User": "mallory"}).status in (400, 401)
    token = steps.cookies(person, front)["at"]["value"]
    head, body, signature = token.split(".")
    forged = f"{head}.{body}.{signature[:-4]}AAAA"
    assert send("GET", f"{front.app}/api/me", headers={"Authorization": f"Bearer {forged}"}).status == 401
    names = [name.lower() for name, _ in real["headers"]]  # type: ignore[attr-defined]
    assert "cookie" not in names, "our cookies are removed"
    assert "authorization" in names
    assert {name for name in names if name.startswith("x-bartizan-")} == {"x-bartizan-user"}


def test_the_origin_test_stands_before_it(person: BrowserContext, front: Site) -> None:
    jar = {cookie["name"]: cookie["value"] for cookie in person.cookies(front.app)}
    headers = {"Cookie": cookie_header(jar), "Content-Type": "application/json"}
    body = b'{"word": "forged"}'
    for origin in (
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.localhost"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://evil.app.localhost"},
        {"Origin": "null"},
        {},
    ):
        assert send("POST", f"{front.app}/api/post", headers={**headers, **origin}, body=body).status == 403, origin
    good = {"Sec-Fetch-Site": "same-origin", "Origin": front.app}
    assert send("POST", f"{front.app}/api/post", headers={**headers, **good}, body=body).status == 200


def test_a_location_that_names_the_app_gets_the_public_origin(person: BrowserContext, front: Site) -> None:
    jar = {cookie["name"]: cookie["value"] for cookie in person.cookies(front.app)}
    answer = send("GET", f"{front.app}/api/go", headers={"Cookie": cookie_header(jar)})
    assert answer.header("location") == f"{front.app}/api/me"
