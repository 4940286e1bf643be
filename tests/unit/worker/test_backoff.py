"""Retries wait longer each time, up to a cap, each a little differently."""

from __future__ import annotations

import pytest

from bartizan.worker.backoff import wait_seconds
from bartizan.worker.settings import WorkerSettings

SETTINGS = WorkerSettings()


@pytest.mark.parametrize(
    ("attempt", "seconds"), [(1, 2), (2, 8), (3, 32), (4, 128), (5, 512), (6, 900), (7, 900), (99, 900)]
)
def test_waits_grow_to_the_cap(attempt: int, seconds: float) -> None:
    assert wait_seconds(attempt, SETTINGS, lambda: 0.5) == seconds


def test_jitter_stays_within_a_fifth() -> None:
    assert wait_seconds(2, SETTINGS, lambda: 0.0) == pytest.approx(6.4)
    assert wait_seconds(2, SETTINGS, lambda: 0.999999) == pytest.approx(9.6, rel=1e-3)


def test_eight_attempts_outlast_half_an_hour_of_a_dead_mail_server() -> None:
    assert sum(wait_seconds(attempt, SETTINGS, lambda: 0.0) for attempt in range(1, 8)) > 30 * 60
