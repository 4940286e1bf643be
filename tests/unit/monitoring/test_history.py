"""Rates from running totals: over a window, through restarts, bounded."""

from __future__ import annotations

from bartizan.monitoring.history import History, Point


def filled(*totals: float, step: float = 10) -> History:
    history = History(3600, step)
    for number, total in enumerate(totals):
        history.add(Point(number * step, {"gateway": {"": total}}, p99_ms=float(number)))
    return history


def test_a_rate_needs_two_looks() -> None:
    assert History(3600, 5).rate("gateway") is None
    assert filled(5).rate("gateway") is None
    assert filled(0, 50, 100).rate("gateway") == 5


def test_a_restart_counts_from_nothing() -> None:
    assert filled(100, 110, 4, 8).grown("gateway") == 10 + 4 + 4


def test_two_workers_restart_each_by_itself_and_a_silent_one_has_not_done_all_anew() -> None:
    history = History(3600, 10)
    seen = [{"web": 100.0, "web-2": 100.0}, {"web": 110.0, "web-2": 0.0}, {"web": 110.0}, {"web": 112.0, "web-2": 7.0}]
    for number, totals in enumerate(seen):
        history.add(Point(number * 10.0, {"auth": totals}, None))
    assert history.grown("auth") == 10 + 0 + 2 + 7


def test_the_window_forgets_and_the_memory_is_bounded() -> None:
    history = filled(*([0.0] * 100), *[float(10 * n) for n in range(31)])
    assert history.rate("gateway") == 1
    for number in range(2000):
        history.add(Point(10_000.0 + number, {}, None))
    assert len(history.points) == 360


def test_a_series_has_at_most_its_steps() -> None:
    series = filled(*[float(n) for n in range(360)]).series("gateway")
    assert 50 < len(series) <= 60
    assert all(abs(rate - 0.1) < 1e-9 for _, rate in series)


def test_p99_is_the_windows_median() -> None:
    assert filled(0, 0, 0, 0, 0).p99_ms() == 2
    assert History(10, 1).p99_ms() is None
