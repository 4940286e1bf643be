"""Debian's Chromium, and what the stories ask for besides pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests.browser import steps
from tests.browser.at_rest import AtRest
from tests.browser.site import Site

from bartizan.stack.home import Home

_FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One a module and not one a session: while Playwright is up its loop runs in this thread, and no other can."""
    path = shutil.which("chromium")
    assert path, "the stories need Debian's Chromium: apt-get install chromium"
    # Chromium's own sandbox does not start under root; the pages are ours.
    flags = [*_FLAGS, "--no-sandbox"] if os.geteuid() == 0 else _FLAGS
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        expect.set_options(timeout=steps.TINY)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    context.set_default_timeout(steps.TINY)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="session")
def app_door(site: Site) -> str:
    """The demo API's own socket: the way to the guard past the gateway."""
    return str(Home(site.data).sockets() / "snapshots.sock")


@pytest.fixture
def at_rest(site: Site) -> AtRest:
    return AtRest(site.data)


@pytest.fixture(scope="module")
def printshop_token(browser: Browser, site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A bearer token that the print shop got for a new person."""
    context = browser.new_context()
    page = context.new_page()
    steps.sign_up(page, site, *steps.new_person())
    steps.connect_printshop(page, site)
    yield str(page.evaluate("() => fetch('/page-token').then(answer => answer.json()).then(got => got.access_token)"))
    context.close()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    return steps.picture(tmp_path / "picture.jpg")
