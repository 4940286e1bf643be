"""Flows §10: what a link is bound to, and that nothing else opens it."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.files import links
from bartizan.files.links import Link, Variant
from bartizan.protocol.secrets import KeyRing
from bartizan.web.paths import pattern

OLD = KeyRing((("oldkey01", bytes(32)),))
BOTH = KeyRing((("newkey01", bytes(range(32))), *OLD.keys))
RING = BOTH.purpose("files")
LINK = Link(file=UUID(int=1), variant=Variant.THUMB, expires=7200, gid=UUID(int=2), who=UUID(int=3))
PARTS = ("file", "variant", "exp", "gid", "who", "mac")


def parts(path: str) -> dict[str, str]:
    found = pattern(links.PATH).match(path)
    assert found is not None
    return found.groupdict()


@given(
    st.builds(
        Link,
        file=st.uuids(),
        variant=st.sampled_from(Variant),
        expires=st.integers(1, 10**11),
        gid=st.uuids(),
        who=st.uuids(),
    ),
    st.integers(0, 2**31),
)
def test_a_link_reads_back_until_its_time(link: Link, epoch: int) -> None:
    path = links.sign(RING, link, epoch)
    assert links.read(RING, parts(path), link.expires - 1, epoch) == link
    assert links.read(RING, parts(path), link.expires, epoch) is None
    assert links.read(RING, parts(path), 0, epoch + 1) is None, "a restore ends all links"


@pytest.mark.parametrize("name", PARTS)
def test_no_part_can_be_another(name: str) -> None:
    other = Link(file=UUID(int=9), variant=Variant.ORIGINAL, expires=10_800, gid=UUID(int=9), who=UUID(int=9))
    mine, theirs = parts(links.sign(RING, LINK, 1)), parts(links.sign(RING, other, 1))
    assert links.read(RING, {**mine, name: theirs[name]}, 0, 1) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("file", str(UUID(int=1))),
        ("file", "{" + UUID(int=1).hex + "}"),
        ("file", UUID(int=0xABCDEF).hex.upper()),
        ("file", "x"),
        ("variant", "Thumb"),
        ("variant", "../original"),
        ("exp", "07200"),
        ("exp", "+7200"),
        ("exp", "٧٢٠٠"),
        ("exp", "-1"),
        ("exp", "9" * 40),
        ("mac", ""),
        ("mac", "="),
        ("mac", "Ω"),
    ],
)
def test_one_spelling_alone_is_read(name: str, value: str) -> None:
    assert links.read(RING, {**parts(links.sign(RING, LINK, 1)), name: value}, 0, 1) is None


@given(st.fixed_dictionaries({name: st.text(max_size=80) for name in PARTS}))
def test_any_text_is_read_as_nothing(given_parts: dict[str, str]) -> None:
    assert links.read(RING, given_parts, 0, 1) is None


def test_a_new_key_signs_and_the_old_still_opens() -> None:
    before = links.sign(OLD.purpose("files"), LINK, 1)
    assert links.read(RING, parts(before), 0, 1) == LINK
    assert links.sign(RING, LINK, 1) != before
    assert links.read(OLD.purpose("files"), parts(links.sign(RING, LINK, 1)), 0, 1) is None
    assert links.read(OLD.purpose("link"), parts(before), 0, 1) is None, "another purpose, another key"


@given(st.integers(0, 10**11), st.integers(1, 10**5))
def test_a_rounded_end_is_one_to_two_spans_away(now: int, seconds: int) -> None:
    end = links.rounded(now, seconds)
    assert seconds < end - now <= 2 * seconds
    assert end % seconds == 0
    assert links.rounded(now + (end - now - 1) % seconds, seconds) == end, "all of one span are one, so that caches hit"
