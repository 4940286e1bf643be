"""RFC 3986 §2: a query is ASCII. One of other bytes is refused or passed over at every address, never a 5xx."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.unit.auth.house import SETTINGS
from tests.unit.frontend.house import CLICKED, SCRIPT, Browser
from tests.unit.pages.house import PagesHouse

from bartizan.auth.routes import routes as auth_routes
from bartizan.frontend.routes import routes as frontend_routes
from bartizan.model.route import Route

RAW = (
    "return_to=/\xe4",
    "\xe4",
    "return_to=\xc3\x28",
    "next=/\xff&said=\xfe",
    "\xe4=1&code=\xe4&state=\xe4",
    "after=\xb2",
)
PAGE = {"accept": "text/html", "sec-fetch-site": "same-origin", "sec-fetch-mode": "navigate"}


def places(rows: tuple[Route, ...]) -> list[tuple[str, str]]:
    return [(method, row.path.replace("{", "").replace("}", "")) for row in rows for method in row.methods]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as opened:
        opened.sign_in()
        yield opened


@pytest.fixture(scope="module")
def house() -> Iterator[PagesHouse]:
    with PagesHouse() as made:
        yield made


@pytest.mark.parametrize("query", RAW)
def test_the_frontend(browser: Browser, query: str) -> None:
    saved = dict(browser.cookies)
    for method, path in [*places(frontend_routes(browser.settings, browser.ports)), ("GET", "/nowhere")]:
        for headers in (CLICKED, SCRIPT):
            answer = browser.call(method, f"{path}?{query}", headers)
            browser.cookies = dict(saved)
            assert answer.status < 500, (method, path, answer.text)
            if "return_to=" in query and path in ("/bff/login", "/bff/renew") and headers is CLICKED:
                assert answer.status == 400, (method, path)


@pytest.mark.parametrize("query", RAW)
def test_the_auth_server(house: PagesHouse, query: str) -> None:
    for method, path in [*places(auth_routes(SETTINGS, house.ports)), ("GET", "/nowhere")]:
        for accept in ("text/html", "application/json"):
            answer = house.call(method, f"{path}?{query}", headers={**PAGE, "accept": accept})
            assert answer.status < 500, (method, path, answer.text)
