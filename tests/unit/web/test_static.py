"""Static files: named by their hash, kept for ever, packed once."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from starlette.types import ASGIApp
from tests.unit.web.calling import call

from bartizan.web.mount import mount
from bartizan.web.pages import LOOK
from bartizan.web.static import Static


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "img").mkdir()
    (tmp_path / "img" / "dot.svg").write_text("<svg/>")
    (tmp_path / "site.css").write_text('b { background: url("img/dot.svg") }')
    (tmp_path / "font.woff2").write_bytes(b"wOF2")
    (tmp_path / "secret.py").write_text("no")
    return tmp_path


def app(static: Static) -> ASGIApp:
    return mount(static.routes(), server="test")


def test_a_name_holds_the_hash_of_what_it_names(folder: Path) -> None:
    static = Static(folder)
    before = static.url("site.css")
    answer = call(app(static), "GET", before)
    assert answer.header("cache-control") == "public, max-age=31536000, immutable"
    assert answer.header("content-type") == "text/css; charset=utf-8"
    assert static.url("img/dot.svg") in answer.text
    (folder / "img" / "dot.svg").write_text("<svg></svg>")
    assert Static(folder).url("site.css") != before, "a changed picture gives the stylesheet a new name"


def test_packed_for_who_asks(folder: Path) -> None:
    static = Static(folder)
    packed = call(app(static), "GET", static.url("site.css"), headers={"accept-encoding": "br, gzip"})
    assert packed.header("content-encoding") == "gzip"
    assert gzip.decompress(packed.body) == call(app(static), "GET", static.url("site.css")).body
    font = call(app(static), "GET", static.url("font.woff2"), headers={"accept-encoding": "gzip"})
    assert (font.header("content-encoding"), font.body) == (None, b"wOF2")


@pytest.mark.parametrize(
    "path", ["/static/site.css", "/static/secret.py", "/static/../secret.py", "/static/", "/static/%2e%2e"]
)
def test_nothing_else_is_served(folder: Path, path: str) -> None:
    assert call(app(Static(folder)), "GET", path).status == 404


def test_two_files_of_one_name_are_a_mistake(folder: Path) -> None:
    with pytest.raises(ValueError, match="two static files"):
        Static(folder, folder)


def test_a_stylesheet_naming_a_file_that_is_not_there_is_a_mistake(folder: Path) -> None:
    (folder / "site.css").write_text('b { background: url("gone.svg") }')
    with pytest.raises(KeyError):
        Static(folder)


def test_the_look_stays_small() -> None:
    sheet = (LOOK / "bartizan.css").read_bytes()
    assert len(gzip.compress(sheet, 9)) < 10_000
