"""Sign-ins by hour as bars: numbers in, rectangles out; the template draws them (look: Chart)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from msgspec import Struct

HOURS = 24
LEFT, TOP, WIDTH, HEIGHT = 28.0, 11.0, 572.0, 255.0
STEP = WIDTH / HOURS
BAR = 17.0


class Hour(Struct, frozen=True):
    label: str  # "09:00"
    done: int
    refused: int


class Bar(Struct, frozen=True):
    x: float
    done_y: float
    done_height: float
    refused_y: float
    refused_height: float


class Chart(Struct, frozen=True):
    hours: tuple[Hour, ...]
    bars: tuple[Bar, ...]
    lines: tuple[tuple[float, int], ...]  # y and its number
    labels: tuple[tuple[float, str], ...]  # x and its word
    note: tuple[float, float, str] | None  # the one odd bar: x, top of the bar, words
    described: str
    done: int
    refused: int

    @property
    def note_anchor(self) -> str:
        """The words grow away from the nearer edge, however large the text is there."""
        if self.note is None or LEFT + WIDTH / 4 < self.note[0] < LEFT + 3 * WIDTH / 4:
            return "middle"
        return "start" if self.note[0] < LEFT + WIDTH / 2 else "end"


def chart(counts: list[tuple[datetime, str, int]], now: datetime) -> Chart:
    hours = _hours(counts, now)
    top = _round_up(max((hour.done + hour.refused for hour in hours), default=0))
    bars = tuple(_bar(number, hour, top) for number, hour in enumerate(hours))
    lines = tuple((TOP + HEIGHT * (1 - part / 3), round(top * part / 3)) for part in range(4))
    labels = (*((_middle(at), hours[at].label) for at in range(0, HOURS - 3, 6)), (_middle(HOURS - 1), "now"))
    return Chart(
        hours=hours,
        bars=bars,
        lines=lines,
        labels=labels,
        note=_note(hours, bars),
        described=_described(hours),
        done=sum(hour.done for hour in hours),
        refused=sum(hour.refused for hour in hours),
    )


def _hours(counts: list[tuple[datetime, str, int]], now: datetime) -> tuple[Hour, ...]:
    found = {(at.astimezone(UTC), code): number for at, code, number in counts}
    last = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    starts = [last - timedelta(hours=back) for back in range(HOURS - 1, -1, -1)]
    return tuple(
        Hour(f"{start:%H:%M}", found.get((start, "signin.done"), 0), found.get((start, "signin.refused"), 0))
        for start in starts
    )


def _round_up(highest: int) -> int:
    """A multiple of three with room above: 0..3 → 3, 70 → 90, 104 → 120."""
    for step in (3, 6, 15, 30, 60, 90, 120, 150, 300, 600, 900, 1500, 3000):
        if highest <= step:
            return step
    return -(-highest // 3000) * 3000


def _middle(number: int) -> float:
    return LEFT + 4 + number * (STEP - 0.2) + BAR / 2


def _bar(number: int, hour: Hour, top: int) -> Bar:
    done, refused = HEIGHT * hour.done / top, HEIGHT * hour.refused / top
    floor = TOP + HEIGHT
    gap = 1.5 if done and refused else 0.0
    return Bar(
        x=_middle(number) - BAR / 2,
        done_y=floor - done,
        done_height=done,
        refused_y=floor - done - gap - refused,
        refused_height=refused,
    )


def _note(hours: tuple[Hour, ...], bars: tuple[Bar, ...]) -> tuple[float, float, str] | None:
    """The one hour whose refusals stand out: ten and more, and more than half of the day's."""
    worst = max(range(HOURS), key=lambda number: hours[number].refused)
    refused = hours[worst].refused
    if refused < 10 or 2 * refused < sum(hour.refused for hour in hours):
        return None
    return _middle(worst), max(bars[worst].refused_y, TOP + 26), f"{refused} refused in one hour"


def _described(hours: tuple[Hour, ...]) -> str:
    highest = max(hours, key=lambda hour: hour.done)
    worst = max(hours, key=lambda hour: hour.refused)
    if not highest.done and not worst.refused:
        return "Nobody signed in."
    least = min(hour.done for hour in hours)
    refused = f" Most refusals: {worst.refused} at {worst.label}." if worst.refused else " None was refused."
    return f"Between {least} and {highest.done} sign-ins an hour, highest at {highest.label}.{refused}"
