"""Story 5: the print shop, a plain OAuth client: named, limited, and ended when the person says so."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from tests.browser import steps
from tests.browser.site import Site

pytestmark = [pytest.mark.stack, pytest.mark.browser]


def test_a_third_party_sees_photos_cannot_write_and_is_ended(browser: Browser, site: Site, tmp_path: Path) -> None:
    context = browser.new_context()
    page = context.new_page()
    steps.sign_up(page, site, *steps.new_person())
    steps.upload(page, steps.picture(tmp_path / "to-print.jpg"))

    page.goto(f"{site.printshop}/")
    page.locator("#connect").click()
    page.wait_for_url(f"{site.id}/consent**")
    asked = page.locator("main")
    expect(asked).to_contain_text("Print shop")
    expect(asked).to_contain_text(site.printshop.removeprefix("http://"))
    expect(asked).to_contain_text("See your photos")
    expect(asked).not_to_contain_text("Add, change and delete your photos")
    page.locator("#consent-deny").click()
    page.wait_for_url(f"{site.printshop}/**")
    expect(page.locator("#access-denied")).to_be_visible()

    steps.connect_printshop(page, site)
    expect(page.locator("#photos img")).to_have_count(1)
    assert page.locator("#photos img").evaluate("one => one.decode().then(() => one.naturalWidth)") > 0
    expect(page.locator("#shared-count")).to_contain_text("1", timeout=steps.TINY)

    page.locator("#try-delete").click()
    expect(page.locator("#attempt-status")).to_have_text("403")
    challenge = page.locator("#attempt-challenge").inner_text()
    assert 'error="insufficient_scope"' in challenge
    assert 'scope="photos.write"' in challenge

    page.goto(f"{site.id}/account")
    page.locator("[id^=app-][id$=-end]").click()
    expect(page.locator("[id^=app-][id$=-end]")).to_have_count(0)
    ended = time.monotonic()
    page.goto(f"{site.printshop}/")
    while not page.locator("#access-ended").is_visible() and time.monotonic() - ended < 2.0:
        page.goto(f"{site.printshop}/")
    expect(page.locator("#access-ended")).to_be_visible(timeout=1)
    expect(page.locator("#photos")).to_have_count(0)
    page.goto(f"{site.app}/")
    expect(page.locator("#sign-out")).to_be_visible(timeout=steps.TINY)
    context.close()
