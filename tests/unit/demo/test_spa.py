"""The Snapshots page keeps to a strict CSP, and its modules name only what is there."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bartizan import demo

SPA = Path(demo.__file__).parent / "spa"
MODULES = sorted(SPA.glob("*.js"))
STABLE = {"sign-in", "sign-out", "upload-input", "upload", "photo-list", "who", "title"}


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.inline: list[str] = []
        self._tag = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href") and value and value.startswith("/"):
                self.links.append(value)
            if name == "style" or name.startswith("on"):
                self.inline.append(f"{tag} {name}")

    def handle_data(self, data: str) -> None:
        if self._tag in ("script", "style") and data.strip():
            self.inline.append(f"text in {self._tag}")


@pytest.fixture(scope="module")
def page() -> Page:
    parsed = Page()
    parsed.feed((SPA / "index.html").read_text())
    return parsed


def test_nothing_is_inline(page: Page) -> None:
    assert page.inline == []


def test_ids_are_stable_and_single(page: Page) -> None:
    assert set(page.ids) >= STABLE
    assert len(page.ids) == len(set(page.ids))


def test_what_the_page_names_is_there(page: Page) -> None:
    for link in page.links:
        if Path(link).suffix:
            assert (SPA / link.lstrip("/")).is_file(), link


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_a_module_names_only_what_is_there(module: Path, page: Page) -> None:
    text = module.read_text()
    for name in re.findall(r"from '(\./[^']+)'", text):
        assert (SPA / name).is_file(), name
    for found in re.findall(r"\bfind\('([^']+)'\)", text):
        assert found in page.ids
    for forbidden in ("innerHTML", "insertAdjacentHTML", "localStorage", "sessionStorage", "document.cookie", "eval("):
        assert forbidden not in text


def test_the_pictures_are_small() -> None:
    pictures = sorted((Path(demo.__file__).parent / "pictures").glob("*.jpg"))
    assert len(pictures) == 9
    assert all(picture.stat().st_size <= 36 * 1024 for picture in pictures)
