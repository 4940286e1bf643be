"""How long a failed job waits: exponential, capped, jittered, so that what failed together does not return together."""

from __future__ import annotations

from collections.abc import Callable

from bartizan.worker.settings import WorkerSettings

Fraction = Callable[[], float]  # in [0, 1): handed in, so that tests know it
JITTER = 0.2


def wait_seconds(attempt: int, settings: WorkerSettings, fraction: Fraction) -> float:
    """Before attempt + 1. `attempt` counts from 1."""
    exponent = min(attempt - 1, 32)
    wait = min(settings.retry_cap, settings.retry_first * settings.retry_factor**exponent)
    return wait * (1 - JITTER + 2 * JITTER * fraction())
