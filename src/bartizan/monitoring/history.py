"""Rates of the last hour, in memory: one small row a look. The database keeps none of it."""

from __future__ import annotations

from collections import deque
from itertools import pairwise

from msgspec import Struct

WINDOW = 300.0  # seconds that a rate is taken over


class Point(Struct, frozen=True):
    """Running totals at one moment."""

    at: float
    totals: dict[str, dict[str, float]]  # by name, then by process
    p99_ms: float | None


class History:
    def __init__(self, seconds: int, interval: float) -> None:
        self._points: deque[Point] = deque(maxlen=max(2, int(seconds / interval)))

    def add(self, point: Point) -> None:
        """Whoever did not answer keeps what was last heard of it: back again, it has not done all that anew."""
        if self._points:
            last = self._points[-1].totals
            totals = {name: last.get(name, {}) | now for name, now in (last | point.totals).items()}
            point = Point(point.at, totals, point.p99_ms)
        self._points.append(point)

    @property
    def points(self) -> tuple[Point, ...]:
        return tuple(self._points)

    def rate(self, name: str) -> float | None:
        """Per second over the window; None before there are two looks. A restart counts from nothing."""
        earlier, later = self._span()
        if earlier is None or later is None:
            return None
        return self.grown(name) / (later.at - earlier.at)

    def grown(self, name: str) -> float:
        """How much the total grew within the window."""
        return sum(_growth(before, after, name) for before, after in pairwise(self._window()))

    def p99_ms(self) -> float | None:
        """The median of the window's p99s: one slow look is no trouble yet."""
        values = sorted(point.p99_ms for point in self._window() if point.p99_ms is not None)
        return values[len(values) // 2] if values else None

    def series(self, name: str, *, steps: int = 60) -> list[tuple[float, float]]:
        """(time, per second), `steps` of them over all that is kept: for a chart."""
        points = list(self._points)
        size = max(1, -(-len(points) // steps))
        rows = points[::size]
        out: list[tuple[float, float]] = []
        for before, after in pairwise(rows):
            out.append((after.at, _growth(before, after, name) / max(1e-9, after.at - before.at)))
        return out

    def _span(self) -> tuple[Point | None, Point | None]:
        points = self._window()
        if len(points) < 2 or points[-1].at <= points[0].at:
            return None, None
        return points[0], points[-1]

    def _window(self) -> list[Point]:
        points = list(self._points)
        if not points:
            return []
        return [point for point in points if point.at >= points[-1].at - WINDOW]


def _growth(before: Point, after: Point, name: str) -> float:
    """Of all processes together; one that restarted in between counts from nothing."""
    first, grown = before.totals.get(name, {}), 0.0
    for process, total in after.totals.get(name, {}).items():
        earlier = first.get(process, 0.0)
        grown += total - earlier if total >= earlier else total
    return grown
