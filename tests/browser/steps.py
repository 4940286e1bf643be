"""What a person does, as functions: sign up, sign in, read the mail, upload, allow, end."""

from __future__ import annotations

import io
import re
import secrets
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
from tests.browser.site import Site

TINY = 10_000  # ms: two cores, cold caches


def picture(path: Path, colour: tuple[int, int, int] = (40, 90, 150)) -> Path:
    """A small real JPEG."""
    Image.new("RGB", (320, 200), colour).save(path, "JPEG")
    return path


def picture_bytes() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 40), (200, 120, 30)).save(out, "JPEG")
    return out.getvalue()


def new_person() -> tuple[str, str]:
    """An address nobody has, and a password that no list holds."""
    tag = secrets.token_hex(4)
    return f"person-{tag}@example.com", f"walks-{secrets.token_hex(8)}-home"


def open_sign_in(page: Page, site: Site) -> None:
    page.goto(f"{site.app}/")
    page.locator("#sign-in").first.click()
    page.wait_for_url(f"{site.id}/signin**")


def fill_sign_in(page: Page, email: str, password: str) -> None:
    page.locator("#identifier").fill(email)
    page.locator("#password").fill(password)
    page.locator("#sign-in").click()


def landed(page: Page, site: Site, path: str = "/") -> None:
    """Back at the app and signed in: past the callback, which answers 200 with a refresh of its own."""
    page.wait_for_url(f"{site.app}{path}")
    expect(page.locator("#sign-out")).to_be_visible(timeout=TINY)


def sign_in(page: Page, site: Site, email: str, password: str) -> None:
    """From the app's front page to the app, signed in."""
    open_sign_in(page, site)
    fill_sign_in(page, email, password)
    landed(page, site)


def newest_mail_link(page: Page, site: Site, email: str) -> str:
    """The link of the newest mail to `email`, from the inbox page: waits for the worker to have sent it."""
    for _ in range(40):
        page.goto(site.inbox)
        mail = page.locator("a[id^=mail-]", has_text=email).first
        if mail.count():
            break
        page.wait_for_timeout(250)
    else:
        raise AssertionError(f"no mail to {email} in the inbox")
    mail.click()
    link = page.locator("#open-link")
    href = link.get_attribute("href")
    assert href
    return href


def sign_up(page: Page, site: Site, email: str, password: str) -> None:
    """A new account, verified through the inbox in the same browser, ending signed in at the app."""
    open_sign_in(page, site)
    page.get_by_role("link", name="Create an account").click()
    page.locator("#name").fill("Test Person")
    page.locator("#email").fill(email)
    page.locator("#new-password").fill(password)
    page.locator("#sign-up").click()
    page.wait_for_url(f"{site.id}/check-mail**")
    other = page.context.new_page()
    link = newest_mail_link(other, site, email)
    other.close()
    page.goto(link)
    page.locator("#verify").click()
    landed(page, site)


def photos(page: Page) -> Locator:
    return page.locator("#photo-list > [id^=photo-]")


def upload(page: Page, file: Path) -> str:
    """Uploads through the SPA's own form; gives the photo's element id."""
    expect(page.locator("#upload-input")).to_be_attached(timeout=TINY)
    before = [one.get_attribute("id") for one in photos(page).all()]
    page.locator("#upload-input").set_input_files(file)
    page.locator("#upload").click()
    expect(photos(page)).to_have_count(len(before) + 1, timeout=TINY)
    (new,) = [str(one.get_attribute("id")) for one in photos(page).all() if one.get_attribute("id") not in before]
    return new


def cookies(context: BrowserContext, site: Site) -> dict[str, dict[str, Any]]:
    """Our cookies of the app by their short names: at, rt, csrf, …"""
    found: dict[str, dict[str, Any]] = {}
    for cookie in context.cookies(site.app):
        match = re.fullmatch(r"__Host-bz\d*-(.+)", cookie["name"])
        if match:
            found[match.group(1)] = dict(cookie)
    return found


def expire_access(context: BrowserContext, site: Site) -> None:
    """Five minutes later: the browser has dropped the access cookie, and the note of the last renewal (10 s) too."""
    found = cookies(context, site)
    for name in ("at", "hop"):
        if name in found:
            context.clear_cookies(name=found[name]["name"], domain=found[name]["domain"])


def newest_mail_subject(page: Page, site: Site, email: str) -> str:
    """The subject of the newest mail to `email`."""
    newest_mail_link(page, site, email)
    return page.locator("#mail-h").inner_text()


def connect_printshop(page: Page, site: Site) -> None:
    """The print shop asks, the person allows."""
    page.goto(f"{site.printshop}/")
    page.locator("#connect").click()
    page.wait_for_url(f"{site.id}/consent**")
    page.locator("#consent-allow").click()
    page.wait_for_url(f"{site.printshop}/**")
    expect(page.locator("#photos")).to_be_attached(timeout=TINY)


def admin_page(browser: Browser, site: Site) -> Page:
    """A new administrator, signed in at the console, in a browser of its own."""
    email, password = new_person()
    site.cli("user", "create", email, "--password-stdin", "--verified", "--admin", stdin=password)
    page = browser.new_context().new_page()
    page.goto(site.console)
    fill_sign_in(page, email, password)
    page.wait_for_url(f"{site.console}**")
    return page
