"""Story 3: memory mode. The access token lives in a variable of the page, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.browser import steps
from tests.browser.site import Site

pytestmark = [pytest.mark.stack, pytest.mark.browser]

AT_REST = """async () => {
  const seen = [document.cookie, location.href, document.documentElement.outerHTML];
  for (const store of [localStorage, sessionStorage]) for (const key of Object.keys(store)) seen.push(key + '=' + store[key]);
  for (const one of await indexedDB.databases()) seen.push('database ' + one.name);
  for (const name of await caches.keys()) seen.push('cache ' + name);
  return seen.join('\\n');
}"""


def test_a_token_in_a_variable_and_nowhere_else(page: Page, memory_site: Site, tmp_path: Path) -> None:
    site = memory_site
    tokens: list[str] = []
    addresses: list[str] = []

    def note(request: object) -> None:
        sent = request.headers.get("authorization", "")  # type: ignore[attr-defined]  # Playwright's Request
        addresses.append(request.url)  # type: ignore[attr-defined]
        if sent.startswith("Bearer "):
            tokens.append(sent.removeprefix("Bearer "))

    page.on("request", note)
    steps.sign_up(page, site, *steps.new_person())
    photo = steps.upload(page, steps.picture(tmp_path / "memory.jpg"))
    assert tokens, "the calls carry a bearer token"
    found = steps.cookies(page.context, site)
    assert "at" not in found
    assert found["rt"]["httpOnly"]
    assert found["rt"]["sameSite"] == "Strict"

    first = tokens[-1]
    page.reload()
    expect(page.locator(f"#{photo}")).to_be_visible(timeout=steps.TINY)
    assert tokens[-1] != first, "a reload gets a new one"

    at_rest = page.evaluate(AT_REST)
    for token in set(tokens):
        assert token not in at_rest
        assert token.split(".")[2] not in at_rest
        assert not any(token in address for address in addresses)
        for file in site.data.rglob("*"):
            if file.is_file() and file.stat().st_size < 64 * 1024 * 1024:
                assert token.split(".")[2].encode() not in file.read_bytes(), file
    page.locator(f"#delete-{photo.removeprefix('photo-')}").click()
    expect(page.locator(f"#{photo}")).to_have_count(0, timeout=steps.TINY)

    other = page.context.new_page()
    other.goto(f"{site.app}/")
    expect(other.locator("#sign-out")).to_be_visible(timeout=steps.TINY)
    page.locator("#sign-out").click()
    expect(other.locator("#sign-out")).to_be_hidden(timeout=2000)


def test_a_required_page_says_that_this_mode_has_none(page: Page, memory_site: Site) -> None:
    steps.sign_up(page, memory_site, *steps.new_person())
    page.goto(f"{memory_site.app}/views/photos")
    expect(page.locator("main")).to_contain_text("inside its own page")
