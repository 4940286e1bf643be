"""Times and names on pages: clock times that say UTC, never countdowns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.web import words

NOW = datetime(2026, 11, 24, 14, 29, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("back", "said"),
    [
        (timedelta(seconds=3), "just now"),
        (timedelta(minutes=12), "12 minutes ago"),
        (timedelta(hours=1), "1 hour ago"),
        (timedelta(hours=2, minutes=59), "2 hours ago"),
        (timedelta(hours=13), "today, 01:29 UTC"),
        (timedelta(hours=15), "yesterday, 23:29 UTC"),
        (timedelta(days=83), "2 Sep 2026"),
        (timedelta(seconds=-5), "just now"),
    ],
)
def test_how_long_ago(back: timedelta, said: str) -> None:
    assert words.ago(NOW - back, NOW) == said


def test_other_zones_are_written_as_utc() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert (words.clock(there), words.day(there), words.iso(there)) == (
        "14:29 UTC",
        "24 Nov 2026",
        "2026-11-24T14:29:07Z",
    )
    assert words.stamp(there) == "2026-11-24 14:29:07 UTC"
    assert (words.hour(there, NOW), words.second(there, NOW)) == ("14:29", "14:29:07")
    assert words.hour(NOW - timedelta(days=1), NOW) == "23 Nov"


@pytest.mark.parametrize(
    ("name", "initials", "short"),
    [
        ("Alice Larsen", "AL", "Al"),
        ("Print shop", "PS", "Ps"),
        ("Snapshots", "Sn", "Sn"),
        ("  ", "?", "?"),
        ("x", "X", "X"),
    ],
)
def test_letters_for_a_face_and_a_tile(name: str, initials: str, short: str) -> None:
    assert (words.initials(name), words.short(name)) == (initials, short)


@given(st.text(max_size=40))
def test_letters_never_fail(name: str) -> None:
    assert words.initials(name)
    assert words.short(name)
