"""Debian's Chromium, and what the stories ask for besides pages."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from playwright.sync_api import Error as PlaywrightError
from tests.browser import steps
from tests.browser.at_rest import AtRest
from tests.browser.site import Site

from bartizan.stack import proc
from bartizan.stack.home import Home

LONGEST = 120.0  # seconds of one test
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
    leave(context)


@pytest.fixture(autouse=True)
def _not_for_ever() -> Iterator[None]:
    """Seen now and then: a browser that does not answer when a context closes in the middle of a navigation. It is
    killed then, so that the test fails with what it waited for, and the suite goes on."""
    timer = threading.Timer(LONGEST, _kill_browsers)
    timer.daemon = True
    timer.start()
    yield
    timer.cancel()


def leave(context: BrowserContext) -> None:
    """Closes it, with no navigation under way."""
    for page in context.pages:
        with contextlib.suppress(PlaywrightError):
            page.goto("about:blank", timeout=3000)
    context.close()


def _kill_browsers() -> None:
    for pid in proc.tree([os.getpid()])[os.getpid()]:
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text().startswith("chrom"):
                os.kill(pid, signal.SIGKILL)


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
    leave(context)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    return steps.picture(tmp_path / "picture.jpg")
