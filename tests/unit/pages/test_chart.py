"""The chart of sign-ins: bars inside the picture, one note, a sentence, and the figures as they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bartizan.auth.admin.chart import HEIGHT, HOURS, LEFT, TOP, WIDTH, chart

NOW = datetime(2026, 11, 24, 14, 29, tzinfo=UTC)
Counts = list[tuple[datetime, str, int]]


def at(back: int) -> datetime:
    return NOW.replace(minute=0) - timedelta(hours=back)


def test_nothing_happened() -> None:
    drawn = chart([], NOW)
    assert (len(drawn.hours), drawn.done, drawn.refused, drawn.note) == (HOURS, 0, 0, None)
    assert drawn.described == "Nobody signed in."
    assert (drawn.hours[0].label, drawn.hours[-1].label) == ("15:00", "14:00")


def test_the_one_odd_hour_has_a_note() -> None:
    drawn = chart([(at(13), "signin.refused", 41), (at(13), "signin.done", 28), (at(4), "signin.done", 98)], NOW)
    assert drawn.note is not None
    assert drawn.note[2] == "41 refused in one hour"
    assert drawn.described == "Between 0 and 98 sign-ins an hour, highest at 10:00. Most refusals: 41 at 01:00."
    assert chart([(at(hour), "signin.refused", 10) for hour in range(5)], NOW).note is None


numbers = st.tuples(
    st.integers(0, 30).map(at), st.sampled_from(["signin.done", "signin.refused"]), st.integers(0, 5000)
)


@given(st.lists(numbers, max_size=60, unique_by=lambda row: row[:2]))
def test_every_bar_lies_in_the_picture(counts: Counts) -> None:
    drawn = chart(counts, NOW)
    for bar in drawn.bars:
        assert LEFT <= bar.x <= LEFT + WIDTH - 17
        assert TOP - 2 <= bar.refused_y <= bar.done_y <= TOP + HEIGHT
    assert [number for _, number in drawn.lines] == sorted({number for _, number in drawn.lines})
    assert drawn.done == sum(hour.done for hour in drawn.hours)
