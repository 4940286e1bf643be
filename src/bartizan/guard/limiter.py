"""Limits per user, counted in this process.

Two workers count apart, so the true limit is the number of processes times what is written. Where that matters, hand
the guard a limiter of your own over Valkey: any callable `(key, rate) -> seconds to wait`, 0 for yes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from threading import Lock

from bartizan.protocol.web.limits import Rate

Limiter = Callable[[str, Rate], float]
_BOUND = 50_000


class InProcess:
    """A sliding window from two counters: the running window and a share of the one before."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: dict[tuple[str, int], tuple[int, int, int]] = {}  # (key, seconds) → (window, before, in it)
        self._lock = Lock()

    def __call__(self, key: str, rate: Rate) -> float:
        """Counts one and gives 0, or counts none and gives the seconds until one more may pass."""
        now = self._clock()
        window, elapsed = divmod(now, rate.seconds)
        slot = (key, rate.seconds)
        with self._lock:
            seen, before, count = self._counts.pop(slot, (int(window), 0, 0))
            if seen != int(window):
                before, count = (count, 0) if seen == int(window) - 1 else (0, 0)
            allowed = before * (1 - elapsed / rate.seconds) + count < rate.amount
            self._counts[slot] = (int(window), before, count + allowed)  # last in, so the first is the longest unused
            if len(self._counts) > _BOUND:
                del self._counts[next(iter(self._counts))]
        return 0 if allowed else math.ceil(rate.seconds - elapsed) or 1
