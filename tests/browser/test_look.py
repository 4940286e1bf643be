"""The look on the running stack: every page in both themes at 320 px, without sideways scroll or a broken promise.

Each page has one heading, a title, a language and the ids that password managers and tests rely on; its own CSP and its
scripts complain of nothing. Contrast and roles need axe-core, which comes by npm alone: that check is done by hand.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect
from tests.browser import steps
from tests.browser.site import Site

pytestmark = [pytest.mark.stack, pytest.mark.browser]

PHONE = {"width": 320, "height": 640}
FAILURE = ("cancel", "error-code", "request-id")
SIGN_IN = ("identifier", "password", "sign-in")
SEEN = """() => ({
  width: document.documentElement.scrollWidth,
  title: document.title,
  lang: document.documentElement.lang,
  headings: [...document.querySelectorAll('h1')].filter(one => one.checkVisibility()).length,
  ids: [...document.querySelectorAll('[id]')].map(one => one.id),
})"""


class Looker:
    """A page of a narrow phone that keeps what its console complains of."""

    def __init__(self, context: BrowserContext) -> None:
        self.page = context.new_page()
        self.page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.complaints: list[str] = []

    def _note(self, message: ConsoleMessage) -> None:
        # The status of an error page itself is no complaint.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.complaints.append(message.text)

    def at(self, url: str, *ids: str) -> Page:
        self.page.goto(url)
        return self.here(*ids)

    def here(self, *ids: str) -> Page:
        for theme in ("light", "dark"):
            self.page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
            seen = self.page.evaluate(SEEN)
            where = (self.page.url, theme)
            assert seen["width"] <= PHONE["width"], (where, seen["width"])
            assert seen["headings"] == 1, where
            assert seen["title"], where
            assert seen["lang"] == "en", where
            for name in ids:
                assert seen["ids"].count(name) == 1, (where, name)
        assert self.complaints == [], self.page.url
        return self.page


@pytest.fixture
def stranger(browser: Browser) -> Iterator[Looker]:
    context = browser.new_context()
    context.set_default_timeout(steps.TINY)
    yield Looker(context)
    context.close()


@pytest.fixture(scope="module")
def person(browser: Browser, site: Site) -> Iterator[Looker]:
    """Somebody new; the pages of signing up are looked at on the way."""
    context = browser.new_context()
    context.set_default_timeout(steps.TINY)
    looker, (email, password) = Looker(context), steps.new_person()
    steps.open_sign_in(looker.page, site)
    looker.here(*SIGN_IN, "cancel").get_by_role("link", name="Create an account").click()
    page = looker.here("name", "email", "new-password", "sign-up")
    page.locator("#name").fill("A Person Whose Name Is Long")
    page.locator("#email").fill(email)
    page.locator("#new-password").fill(password)
    page.locator("#sign-up").click()
    page.wait_for_url(f"{site.id}/check-mail**")
    looker.here("resend")
    other = Looker(context)
    link = steps.newest_mail_link(other.page, site, email)
    other.here("mail-h", "open-link", "view-html", "view-text", "view-source", "view-headers")
    for view in ("text", "source", "headers"):
        other.at(f"{other.page.url.split('?')[0]}?view={view}")
    other.page.close()
    elsewhere = Looker(browser.new_context())
    elsewhere.at(link, "identifier", "password", "verify")
    elsewhere.page.context.close()
    looker.at(link, "verify").locator("#verify").click()
    steps.landed(looker.page, site)
    yield looker
    context.close()


def test_pages_of_a_stranger(stranger: Looker, site: Site) -> None:
    stranger.at(f"{site.app}/")
    expect(stranger.page.locator("#sign-in")).to_be_visible()
    stranger.here("sign-in")
    stranger.at(f"{site.id}/signin", *SIGN_IN)
    stranger.at(f"{site.id}/signup", "name", "email", "new-password", "sign-up")
    stranger.at(f"{site.id}/reset", "identifier", "reset-send")
    stranger.at(f"{site.id}/signed-out", "sign-in-again", "back-to-app")
    stranger.at(f"{site.id}/verify/used-up", "sign-in-again", "reset-again")
    stranger.at(f"{site.id}/reset/used-up", "sign-in-again", "reset-again")
    stranger.at(site.inbox)
    stranger.at(f"{site.printshop}/", "connect")


def test_a_stranger_is_led_to_sign_in(stranger: Looker, site: Site) -> None:
    for url in (f"{site.app}/views/photos", f"{site.id}/account", site.console, f"{site.id}/consent"):
        stranger.page.goto(url)
        stranger.page.wait_for_url(f"{site.id}/signin**")
        stranger.here(*SIGN_IN)


def test_a_refused_sign_in(stranger: Looker, site: Site) -> None:
    page = stranger.at(f"{site.id}/signin")
    steps.fill_sign_in(page, steps.new_person()[0], "not the password of anyone")
    expect(page.locator("#form-fault")).to_be_focused()
    stranger.here(*SIGN_IN, "form-fault")
    assert page.title().startswith("Error: ")
    expect(page.locator("#password")).to_have_attribute("aria-invalid", "true")


def test_pages_that_say_no(stranger: Looker, site: Site) -> None:
    port = site.app.rsplit(":", 1)[1]
    for url in (
        f"{site.id}/authorize?client_id=nobody",
        f"{site.id}/nothing-here",
        f"{site.app}/bff/nothing-here",
        f"{site.files}/",
        f"http://127.0.0.1:{port}/",
    ):
        stranger.at(url, *FAILURE)


def test_a_form_of_a_stranger_is_told_to_sign_in(stranger: Looker, site: Site) -> None:
    page = stranger.page
    page.goto(f"{site.app}/")
    page.evaluate(
        "() => { const form = document.createElement('form'); form.method = 'post';"
        " form.action = '/views/photos'; document.body.append(form); form.submit(); }"
    )
    expect(page.locator("#error-code")).to_have_text("unauthorized")
    stranger.here("sign-in", "error-code", "request-id").locator("#sign-in").click()
    page.wait_for_url(f"{site.id}/signin**")
    stranger.here(*SIGN_IN)


def test_pages_of_a_person(person: Looker, site: Site) -> None:
    person.here("upload", "upload-input", "sign-out")
    person.at(f"{site.app}/views/photos", "add-title", "add", "sign-out")
    person.at(f"{site.app}/views/photos/00000000-0000-7000-8000-000000000000/edit", "error-code")
    person.at(f"{site.app}/bff/logout", "cancel", "sign-out")
    person.at(f"{site.id}/account", "name", "email", "password-save", "sessions", "apps")
    person.at(f"{site.id}/select-account", "account-1", "account-other")
    person.at(f"{site.id}/logout", "stay", "sign-out")
    person.at(f"{site.id}/signed-out", "leave", "back-to-app")
    person.at(site.console, *FAILURE)


def test_consent_and_what_follows(person: Looker, site: Site) -> None:
    for answer in ("consent-deny", "consent-allow"):
        person.at(f"{site.printshop}/").locator("#connect").click()
        person.page.wait_for_url(f"{site.id}/consent**")
        person.here("consent-deny", "consent-allow").locator(f"#{answer}").click()
        person.page.wait_for_url(f"{site.printshop}/**")
        person.here("access-denied" if answer == "consent-deny" else "photos")
    person.at(f"{site.id}/account", "app-printshop-end")


def test_the_console(browser: Browser, site: Site) -> None:
    page = steps.admin_page(browser, site)
    looker = Looker(page.context)
    for path in ("", "/events", "/events?user=nobody", "/users", "/users?q=nobody-has-this", "/clients", "/keys"):
        looker.at(f"{site.console}{path}", "main", "find", "leave")
    looker.at(f"{site.console}/clients/printshop", "main")
    found = looker.at(f"{site.console}/users").locator("a[href^='/admin/users/']")
    person = found.first.get_attribute("href")
    looker.at(f"{site.id}{person}", "main")
    page.context.close()
