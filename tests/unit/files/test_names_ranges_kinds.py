"""RFC 6266, 8187, 9110 §14 and ASVS V5.2–5.4, each by its table and by whatever hypothesis finds."""

from __future__ import annotations

import re
from contextlib import suppress
from urllib.parse import quote, unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bartizan.files import kinds, names, ranges
from bartizan.protocol.refusal import Refused


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (None, "file"),
        ("", "file"),
        ("..", "file"),
        ("%2Ftmp%2F", "file"),
        ("x" * 500, "x" * 200),
        ("a.png", "a.png"),
        ("gr%C3%BC%C3%9Fe.png", "grüße.png"),
        ("u%CC%88.png", "ü.png"),
        ("../../etc/passwd", "passwd"),
        ("..%5C..%5Cboot.ini", "boot.ini"),
        ("a%00b.png", "ab.png"),
        ("a%0D%0ASet-Cookie:x.png", "aSet-Cookie_x.png"),
        ("holiday%E2%80%AEgpj.exe", "holidaygpj.exe"),
        ('a".png', "a_.png"),
        ("%F0%9F%90%88.jpg", "🐈.jpg"),
    ],
)
def test_names_are_cleaned(header: str | None, name: str) -> None:
    assert names.clean(header) == name


@pytest.mark.parametrize("header", ["%ff", "%ED%A0%80", "%C3", "gr\xfc\xdfe.png%ff"])
def test_a_name_that_is_not_utf8_is_refused(header: str) -> None:
    with pytest.raises(Refused) as no:
        names.clean(header)
    assert no.value.status == 400


@given(st.text(max_size=400))
@example("..")
@example("/")
@example("a" * 199 + "ü")
def test_a_cleaned_name_is_short_and_no_path(text: str) -> None:
    name = names.clean(quote(text, safe=""))
    assert name
    assert name not in (".", "..")
    assert len(name.encode()) <= 200
    assert not set(name) & set('/\\\0\r\n"')
    assert names.clean(quote(name, safe="")) == name


@given(st.text(min_size=1, max_size=60), st.booleans())
def test_a_disposition_is_one_header_that_reads_back(text: str, inline: bool) -> None:
    name = names.clean(quote(text, safe=""))
    value = names.disposition(name, inline=inline)
    assert value.isascii()
    assert value.isprintable()
    found = re.fullmatch(r"(inline|attachment); filename=\"([^\"\\%]*)\"; filename\*=UTF-8''([\w.~%-]*)", value)
    assert found is not None, value
    assert found[1] == ("inline" if inline else "attachment")
    assert unquote(found[3]) == name


@pytest.mark.parametrize(
    ("header", "part"),
    [
        (None, None), ("", None), ("bytes=0-0", (0, 0)), ("bytes=0-", (0, 9)), ("bytes=9-", (9, 9)),
        ("bytes=2-4", (2, 4)), ("bytes=2-99", (2, 9)), ("bytes=-1", (9, 9)), ("bytes=-99", (0, 9)),
        ("bytes=4-2", None), ("bytes=-", None), ("bytes=0-1,4-5", None), ("bytes=a-b", None), ("items=0-1", None),
        ("bytes = 0-1", None), ("bytes=0-1x", None), ("bytes=٠-١", None), ("bytes=" + "9" * 30 + "-", None),
    ],
)  # fmt: skip
def test_ranges_of_ten_bytes(header: str | None, part: tuple[int, int] | None) -> None:
    assert ranges.one(header, 10) == part


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=999999999999999999-"])
def test_a_range_outside_is_416_and_says_the_size(header: str) -> None:
    with pytest.raises(Refused) as no:
        ranges.one(header, 10)
    assert (no.value.status, no.value.headers) == (416, (("Content-Range", "bytes */10"),))


@given(
    st.one_of(st.text(max_size=30), st.from_regex(r"bytes=\d{0,12}-\d{0,12}", fullmatch=True)), st.integers(1, 10**9)
)
def test_a_range_never_leaves_the_file(header: str, size: int) -> None:
    part = None
    with suppress(Refused):
        part = ranges.one(header, size)
    assert part is None or 0 <= part[0] <= part[1] < size


JPEG, PNG, WEBP = b"\xff\xd8\xff\xe0rest", b"\x89PNG\r\n\x1a\nrest", b"RIFF\x01\x02\x03\x04WEBPVP8 "


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (JPEG, "image/jpeg"), (PNG, "image/png"), (WEBP, "image/webp"), (b"GIF89a...", "image/gif"),
        (b"%PDF-1.7\n", "application/pdf"), (b"PK\x03\x04rest", "application/zip"),
        (b"", "text/plain"), (b"hello", "text/plain"),
        ("grüße".encode(), "text/plain"), (b"# a heading <b>", "text/plain"),
        (b"<!doctype html>", "text/html"), (b" \n<ScRiPt>", "text/html"), (b"\xef\xbb\xbf<html>", "text/html"),
        (b"<?xml version='1.0'?><svg >", "image/svg+xml"), (b"<svg/onload=1>", "image/svg+xml"),
        (b"<!-- --><svg>", "image/svg+xml"),
    ],
)  # fmt: skip
def test_a_kind_is_told_by_content(head: bytes, kind: str) -> None:
    assert kinds.of(head, whole=True) == kind


@pytest.mark.parametrize("head", [b"MZ\x90\0", b"\x7fELF", b"\0\0\0\0", b"caf\xe9", b"\xff\xfeh\0i\0", b" %PDF-1.4 \0"])
def test_what_is_not_listed_is_not_text_either(head: bytes) -> None:
    assert kinds.of(head, whole=True) not in (kinds.TEXT, *kinds.IMAGES, "application/pdf")


def test_a_text_may_be_cut_inside_a_letter_but_not_end_there() -> None:
    cut = b"gr" + "ü".encode()[:1]
    assert kinds.of(cut, whole=False) == kinds.TEXT
    assert kinds.of(cut, whole=True) != kinds.TEXT


@given(st.binary(max_size=64), st.booleans())
def test_any_bytes_are_of_some_kind(head: bytes, whole: bool) -> None:
    kind = kinds.of(head, whole=whole)
    assert re.fullmatch(r"[\w.+-]+/[\w.+-]+", kind)
    if kind == kinds.TEXT:
        assert b"\0" not in head


@given(st.text(alphabet=st.characters(exclude_categories=("Cc", "Cs")), max_size=200), st.integers(1, 9))
def test_text_is_text_wherever_it_is_cut(text: str, step: int) -> None:
    raw, looked = text.encode(), kinds.Text()
    assert all(looked.goes_on(raw[at : at + step]) for at in range(0, len(raw), step))
    assert looked.ends()


@pytest.mark.parametrize(
    ("name", "kind", "fits", "saved"),
    [
        ("a.jpg", "image/jpeg", True, "a.jpg"), ("a.JPEG", "image/jpeg", True, "a.JPEG"),
        ("a.png", "image/jpeg", False, "a.png.jpg"), ("a.html", "text/plain", False, "a.html.txt"),
        ("a.js", "text/plain", False, "a.js.txt"), ("a.exe", "application/pdf", False, "a.exe.pdf"),
        ("a.hta", "text/plain", True, "a.hta.txt"), ("a", "image/png", True, "a.png"),
        ("v1.2", "text/plain", True, "v1.2.txt"), ("notes.md", "text/plain", True, "notes.md"),
        ("a.docx", "application/x-unlisted", True, "a.docx"),
    ],
)  # fmt: skip
def test_a_name_may_not_say_something_else(name: str, kind: str, fits: bool, saved: str) -> None:
    if kind != "application/x-unlisted":
        assert kinds.named_so(name, kind) is fits
    assert kinds.saved_as(name, kind) == saved


@pytest.mark.parametrize(
    ("claimed", "agrees"),
    [("", True), ("image/png", True), ("IMAGE/PNG; q=1", True), ("application/octet-stream", True),
     ("image/*", False), ("image/jpeg", False), ("text/html", False), ("image", False), ("image/png,text/html", False)],
)  # fmt: skip
def test_a_claim_agrees_or_says_nothing(claimed: str, agrees: bool) -> None:
    assert kinds.agrees(claimed, "image/png") is agrees
