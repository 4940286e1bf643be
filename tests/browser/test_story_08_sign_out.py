"""Story 8: sign out in one tab; every tab knows within a second; the back button shows nothing; the token is dead."""

from __future__ import annotations

import time
from pathlib import Path
from typing import cast

import pytest
from playwright.sync_api import Page, expect
from tests.browser import steps
from tests.browser.site import Site
from tests.browser.wire import cookie_header, send

pytestmark = [pytest.mark.stack, pytest.mark.browser]


def test_signing_out_ends_it_everywhere(page: Page, site: Site, tmp_path: Path) -> None:
    steps.sign_up(page, site, *steps.new_person())
    photo = steps.upload(page, steps.picture(tmp_path / "private.jpg"))
    other = page.context.new_page()
    other.goto(f"{site.app}/")
    expect(other.locator(f"#{photo}")).to_be_visible(timeout=steps.TINY)
    view = page.context.new_page()
    view.goto(f"{site.app}/views/photos")
    jar = {cookie["name"]: cookie["value"] for cookie in page.context.cookies(site.app)}
    token = steps.cookies(page.context, site)["at"]["value"]
    csrf = steps.cookies(page.context, site)["csrf"]["value"]

    page.locator("#sign-out").click()
    started = time.monotonic()
    expect(other.locator("#sign-out")).to_be_hidden(timeout=2000)
    assert time.monotonic() - started < 2.0
    expect(other.locator(f"#{photo}")).to_have_count(0)
    expect(page.locator("#sign-in").first).to_be_visible(timeout=steps.TINY)

    assert not {"at", "rt", "csrf"} & set(steps.cookies(page.context, site)), "the cookies are gone"
    view.go_back()
    view.go_forward()
    expect(view.locator("[id^=photo-]")).to_have_count(0)
    page.go_back()
    expect(page.locator(f"#{photo}")).to_have_count(0)

    ended = time.monotonic()
    status = 200
    while time.monotonic() - ended < 2.0 and status != 401:
        status = send("GET", f"{site.app}/api/whoami", headers={"Authorization": f"Bearer {token}"}).status
    assert status == 401, "the access token that was alive is refused within 2 s"
    dead = {"Cookie": cookie_header(jar), "Sec-Fetch-Site": "same-origin", "Origin": site.app, "X-CSRF-Token": csrf}
    assert send("POST", f"{site.app}/bff/refresh", headers=dead, body=b"").status == 401

    page.goto(f"{site.app}/bff/login")
    page.wait_for_url(f"{site.id}/signin**")  # the sign-on session at id has ended too


def test_who_was_signed_out_elsewhere_is_led_to_sign_in_by_an_upload(page: Page, site: Site, tmp_path: Path) -> None:
    """The tab is open and does not know yet. An upload goes by XMLHttpRequest, which no renewal of the client serves."""
    email, password = steps.new_person()
    steps.sign_up(page, site, email, password)
    (session,) = cast("list[dict[str, str]]", site.cli("session", "list", email)["rows"])
    site.cli("session", "end", session["id"])
    # As the files server answers while the gateway does not know yet: no renewal by redirect, and no cookie deleted.
    page.route("**/files", lambda route: route.fulfill(status=401, json={"error": "invalid_token"}))
    page.locator("#upload-input").set_input_files(steps.picture(tmp_path / "late.jpg"))
    page.locator("#upload").click()
    page.locator("#sign-in").click()  # shown, so clicked: it waits for that
    page.unroute("**/files")
    steps.fill_sign_in(page, email, password)
    steps.landed(page, site)
    steps.upload(page, tmp_path / "late.jpg")
