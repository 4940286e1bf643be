"""Story 1: sign up, verify by mail, sign in, see one's own photos; nobody learns who has an account."""

from __future__ import annotations

import re
import statistics
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.browser import steps
from tests.browser.site import Site

pytestmark = [pytest.mark.stack, pytest.mark.browser]


def test_a_new_person_signs_up_verifies_and_sees_their_own_photos(page: Page, site: Site, tmp_path: Path) -> None:
    email, password = steps.new_person()
    steps.sign_up(page, site, email, password)
    expect(page.locator("#sign-out")).to_be_visible(timeout=steps.TINY)
    expect(page.locator("#who")).to_contain_text("Test Person")
    expect(page.locator("#photo-list [id^=photo-]")).to_have_count(0)
    photo = steps.upload(page, steps.picture(tmp_path / "mine.jpg"))
    expect(page.locator(f"#{photo}")).to_be_visible()


def test_signing_in_works_without_script(browser: Browser, site: Site) -> None:
    """Auth's own pages work with JavaScript off, from the sign-in page to the cookies of the app."""
    email, password = steps.new_person()
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site.app}/bff/login?return_to=/views/photos")
    page.get_by_role("link", name="Create an account").click()
    page.locator("#name").fill("No Script")
    page.locator("#email").fill(email)
    page.locator("#new-password").fill(password)
    page.locator("#sign-up").click()
    link = steps.newest_mail_link(context.new_page(), site, email)
    page.goto(link)
    page.locator("#verify").click()
    page.wait_for_url(f"{site.app}/views/photos")
    expect(page.locator("#sign-out")).to_be_visible()
    context.close()

    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site.app}/bff/login?return_to=/views/photos")
    steps.fill_sign_in(page, email, password)
    page.wait_for_url(f"{site.app}/views/photos")
    context.close()


def test_opening_a_mail_link_changes_nothing_until_its_button_is_pressed(browser: Browser, site: Site) -> None:
    """Scanners open links: GET never acts. Elsewhere than in the browser that signed up, the password is asked."""
    email, password = steps.new_person()
    context = browser.new_context()
    page = context.new_page()
    steps.open_sign_in(page, site)
    page.get_by_role("link", name="Create an account").click()
    page.locator("#name").fill("Scanned")
    page.locator("#email").fill(email)
    page.locator("#new-password").fill(password)
    page.locator("#sign-up").click()
    stranger = browser.new_context()
    other = stranger.new_page()
    link = steps.newest_mail_link(other, site, email)
    for _ in range(2):
        other.goto(link)
    expect(other.locator("input[type=password]")).to_be_visible()
    page.goto(link)
    page.locator("#verify").click()
    steps.landed(page, site)
    stranger.close()
    context.close()


def _refused_text(page: Page, site: Site, email: str, password: str) -> tuple[str, float]:
    steps.open_sign_in(page, site)
    page.locator("#identifier").fill(email)
    page.locator("#password").fill(password)
    started = time.perf_counter()
    with page.expect_response(lambda answer: answer.request.method == "POST") as posted:
        page.locator("#sign-in").click()
    assert posted.value.status in (200, 303, 400, 401)
    took = time.perf_counter() - started
    page.wait_for_load_state()
    text = page.locator("main").inner_text().replace(email, "E-MAIL")
    return re.sub(r"\s+", " ", text), took


def test_wrong_password_and_unknown_user_look_and_time_the_same(browser: Browser, site: Site) -> None:
    known = "bob@example.com"
    wrong: list[float] = []
    unknown: list[float] = []
    texts: set[str] = set()
    context = browser.new_context()
    page = context.new_page()
    for _ in range(4):
        text, took = _refused_text(page, site, known, "not-the-password-at-all")
        texts.add(text)
        wrong.append(took)
        text, took = _refused_text(page, site, steps.new_person()[0], "not-the-password-at-all")
        texts.add(text)
        unknown.append(took)
    context.close()
    assert len(texts) == 1, texts
    # The hash takes 20 ms and more: had it been left out for the unknown, the medians would lie that far apart.
    assert abs(statistics.median(wrong) - statistics.median(unknown)) < 0.4 * statistics.median(wrong) + 0.02
