"""Bad input on every endpoint of the files server: the field's error, nothing changed, no cause told, never a 5xx."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.files.drawer import FILES, Drawer, Person, picture
from tests.unit.web.calling import Answer

pytestmark = pytest.mark.engine

HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60)
PIECE = st.one_of(st.text(max_size=40), st.uuids().map(str), st.sampled_from(["..", "%00", "a" * 5000, "original"]))
QUERY = st.one_of(
    st.text(st.characters(max_codepoint=255), max_size=60),
    st.lists(
        st.tuples(st.sampled_from(["before", "limit", "variant", "x"]), PIECE.map(quote)).map("=".join), max_size=4
    ).map("&".join),
)
KINDS = st.sampled_from(["image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf", "", "x", "text/html"])
START = st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"RIFF....WEBPVP8X", b"<svg", b"\0"])


class House:
    """One server with a person and a file, for all examples: each must leave them as they were."""

    def __init__(self, drawer: Drawer) -> None:
        self.drawer = drawer
        self.ada: Person = drawer.person()
        self.file = drawer.uploaded(self.ada, picture("PNG", (8, 8)))
        self.before = self.state()

    def state(self) -> tuple[int, list[Path]]:
        return self.drawer.used(self.ada), self.drawer.on_disk()

    def refused(self, answer: Answer, *also: int) -> None:
        assert answer.status in (400, 403, 404, 405, 413, 415, 422, *also), (answer.status, answer.text)
        assert self.state() == self.before
        assert (answer.header("cache-control") or "").startswith(("no-store", "private"))
        if answer.status >= 400 and answer.header("content-type") == "application/json":
            assert set(answer.json) == {"error", "error_description"}
            assert "Traceback" not in answer.text


@pytest.fixture(scope="module")
def house(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with Drawer(database_url, tmp_path_factory.mktemp("bad") / "files", max_bytes=4096) as drawer:
        yield House(drawer)


few = settings(max_examples=60, deadline=None)


@few
@given(kind=st.one_of(KINDS, HEADER), name=HEADER, start=START, rest=st.binary(max_size=200))
def test_uploads(house: House, kind: str, name: str, start: bytes, rest: bytes) -> None:
    headers = {"Content-Type": kind, "X-File-Name": name}
    body = start + rest + b"\0"  # no text, no whole picture
    house.refused(house.drawer.call("POST", "/files", house.ada, headers=headers, body=body))


@few
@given(length=st.one_of(HEADER, st.integers(5000, 10**30).map(str)), name=HEADER)
def test_announced_lengths(house: House, length: str, name: str) -> None:
    headers = {"Content-Length": length, "Content-Type": "image/png", "X-File-Name": name}
    house.refused(house.drawer.call("POST", "/files", house.ada, headers=headers, body=b"\0" * 5000))


@few
@given(query=QUERY)
def test_lists(house: House, query: str) -> None:
    house.refused(house.drawer.call("GET", f"/files?{query}", house.ada), 200)


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=-1", "limit=1&limit=1", "limit=%D9%A1", "before=x", "x=1"]
)
def test_lists_name_what_they_take(house: House, query: str) -> None:
    assert house.drawer.call("GET", f"/files?{query}", house.ada).status == 400


@few
@given(piece=PIECE, query=QUERY, method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "TRACE"]))
def test_paths_of_the_api(house: House, piece: str, query: str, method: str) -> None:
    for path in (f"/files/{piece}", f"/files/{piece}/link"):
        house.refused(house.drawer.call(method, f"{path.replace('?', '')}?{query}", house.ada))


@few
@given(query=QUERY)
def test_links_of_a_file_that_is_there(house: House, query: str) -> None:
    house.refused(house.drawer.call("GET", f"/files/{house.file['id']}/link?{query}", house.ada), 200)


@few
@given(at=st.integers(0, 5), piece=PIECE, method=st.sampled_from(["GET", "HEAD", "POST"]))
def test_signed_links_with_one_part_changed(house: House, at: int, piece: str, method: str) -> None:
    parts = house.file["url"].removeprefix(f"{FILES}/f/").split("/")
    if piece == parts[at]:
        return
    parts[at] = piece.replace("?", "")
    house.refused(house.drawer.call(method, "/f/" + "/".join(parts)))


@few
@given(asked=HEADER, known=HEADER, condition=HEADER)
def test_headers_of_a_download(house: House, asked: str, known: str, condition: str) -> None:
    headers = {"Range": asked, "If-None-Match": known, "If-Range": condition, "Origin": known}
    house.refused(house.drawer.call("GET", house.file["url"], headers=headers), 200, 206, 304, 416)


@pytest.mark.parametrize("query", ["\xe4", "limit=\xe4", "before=\xc3\x28", "x=/\xff"])
@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_queries_that_are_not_utf8(house: House, query: str, accept: str) -> None:
    file = house.file["id"]
    for method, path in (
        ("GET", "/files"),
        ("GET", f"/files/{file}/link"),
        ("DELETE", f"/files/{file}x"),
        ("GET", "/"),
    ):
        headers = {"accept": accept, "sec-fetch-mode": "navigate"}
        house.refused(house.drawer.call(method, f"{path}?{query}", house.ada, headers=headers), 200)
    house.refused(house.drawer.call("POST", f"/files?{query}", house.ada, body=b""), 200)
    assert house.drawer.call("GET", f"{house.file['url']}?{query}", headers={"accept": accept}).status in (
        200,
        400,
        404,
    )
