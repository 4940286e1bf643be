"""Names, links, ranges and kinds: the rules of the files server, without a server."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bartizan.files import kinds, links, names, ranges
from bartizan.files.links import Link, Variant
from bartizan.protocol.refusal import Refused
from bartizan.protocol.secrets import KeyRing

OLD, NEW = ("aaaaaaaa", b"o" * 32), ("bbbbbbbb", b"n" * 32)
RING = KeyRing((NEW, OLD)).purpose("files")
NOW = 1_893_456_000
EPOCH = 1
LINK = Link(
    file=UUID(int=1), variant=Variant.ORIGINAL, expires=links.rounded(NOW, 3600), gid=UUID(int=2), who=UUID(int=3)
)


def parts(path: str) -> dict[str, str]:
    _, first, *rest = path.split("/")
    assert first == "f"
    return dict(zip(("file", "variant", "exp", "gid", "who", "mac"), rest, strict=True))


def test_a_link_reads_back_and_two_of_one_hour_are_one() -> None:
    assert links.read(RING, parts(links.sign(RING, LINK, EPOCH)), NOW, EPOCH) == LINK
    assert links.rounded(NOW + 1, 3600) == links.rounded(NOW + 3599, 3600)
    assert 3600 <= links.rounded(NOW, 3600) - NOW <= 7200


def test_a_link_ends_with_its_hour() -> None:
    path = parts(links.sign(RING, LINK, EPOCH))
    assert links.read(RING, path, LINK.expires - 1, EPOCH) is not None
    assert links.read(RING, path, LINK.expires, EPOCH) is None


def test_links_of_an_older_key_hold_and_of_a_stranger_do_not() -> None:
    assert links.read(RING, parts(links.sign(KeyRing((OLD,)).purpose("files"), LINK, EPOCH)), NOW, EPOCH) == LINK
    assert (
        links.read(
            RING, parts(links.sign(KeyRing((("cccccccc", b"x" * 32),)).purpose("files"), LINK, EPOCH)), NOW, EPOCH
        )
        is None
    )
    assert links.read(RING, parts(links.sign(KeyRing((NEW,)).purpose("bff"), LINK, EPOCH)), NOW, EPOCH) is None


@pytest.mark.parametrize(
    "other",
    [
        replace(LINK, file=UUID(int=9)),
        replace(LINK, variant=Variant.THUMB),
        replace(LINK, expires=LINK.expires + 3600),
        replace(LINK, gid=UUID(int=9)),
        replace(LINK, who=UUID(int=9)),
    ],
)
def test_every_part_of_a_link_is_under_the_mac(other: Link) -> None:
    mac = parts(links.sign(RING, LINK, EPOCH))["mac"]
    assert links.read(RING, parts(links.sign(RING, other, EPOCH)) | {"mac": mac}, NOW, EPOCH) is None


@given(st.sampled_from(("file", "variant", "exp", "gid", "who", "mac")), st.text(max_size=50))
def test_no_changed_part_opens_anything(name: str, text: str) -> None:
    good = parts(links.sign(RING, LINK, EPOCH))
    if text != good[name]:
        assert links.read(RING, good | {name: text}, NOW, EPOCH) is None


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        ("cat.jpg", "cat.jpg"),
        ("..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("..%5C..%5Cboot.ini", "boot.ini"),
        ("%2Ftmp%2F", "file"),
        ("..", "file"),
        ("a%00b%0D%0ASet-Cookie%3A x.jpg", "abSet-Cookie_ x.jpg"),
        ("photo%E2%80%AEgpj.exe", "photogpj.exe"),
        ("gr%C3%BC%C3%9Fe.png", "grüße.png"),
        (None, "file"),
        ("x" * 500, "x" * 200),
    ],
)
def test_names_are_shown_and_never_a_path(header: str | None, shown: str) -> None:
    assert names.clean(header) == shown


def test_a_name_that_is_no_utf8_is_refused() -> None:
    with pytest.raises(Refused):
        names.clean("%ff%fe")


@given(st.text(max_size=80))
def test_a_disposition_is_one_clean_header(text: str) -> None:
    name = names.clean(text.encode("utf-8", "ignore").decode())
    header = names.disposition(name, inline=False)
    assert header.isascii()
    assert header.isprintable()
    assert header.startswith('attachment; filename="')
    assert header.count('"') == 2


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-0", (0, 0)),
        ("bytes=5-", (5, 99)),
        ("bytes=5-1000", (5, 99)),
        ("bytes=-10", (90, 99)),
        ("bytes=-1000", (0, 99)),
        ("bytes=9-5", None),
        ("bytes=0-1,5-6", None),
        ("items=0-1", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=" + "9" * 40 + "-", None),
    ],
)
def test_one_range(header: str | None, expected: tuple[int, int] | None) -> None:
    assert ranges.one(header, 100) == expected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_that_is_not_there(header: str) -> None:
    with pytest.raises(Refused) as no:
        ranges.one(header, 100)
    assert no.value.status == 416
    assert ("Content-Range", "bytes */100") in no.value.headers


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"GIF89a<script>", "image/gif"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"PK\x03\x04\x14", "application/zip"),
        (b"<!DOCTYPE html><p>", "text/html"),
        (b"\xef\xbb\xbf \n<HTML>", "text/html"),
        (b"<script>alert(1)</script>", "text/html"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='x()'>", "image/svg+xml"),
        (b"<?xml version='1.0'?><svg >", "image/svg+xml"),
        ("Grüße\n".encode(), "text/plain"),
        (b"", "text/plain"),
        (b"MZ\x90\x00\x03", "application/octet-stream"),
        (b"\x7fELF\x02\x01\x01\x00", "application/octet-stream"),
        (b"abc\x00def", "application/octet-stream"),
    ],
)
def test_kinds_by_content(head: bytes, kind: str) -> None:
    found = kinds.of(head, whole=True)
    if kind == "application/octet-stream":
        assert found not in ("text/plain", "text/html", *kinds.IMAGES)
    else:
        assert found == kind


def test_a_text_may_be_cut_inside_a_letter_but_not_end_there() -> None:
    cut = "ü".encode()[:1]
    assert kinds.of(b"gr" + cut, whole=False) == "text/plain"
    assert kinds.of(b"gr" + cut, whole=True) != "text/plain"


@pytest.mark.parametrize(
    ("claimed", "agrees"),
    [
        ("", True),
        ("application/octet-stream", True),
        ("IMAGE/PNG", True),
        ("image/png; x=y", True),
        ("image/jpeg", False),
        ("text/html", False),
        ("image/*", False),
    ],
)
def test_what_the_sender_says_must_agree(claimed: str, agrees: bool) -> None:
    assert kinds.agrees(claimed, "image/png") is agrees
