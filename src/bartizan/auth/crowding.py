"""How much of a core a thread would take if it got one: what it ran, and what it waited for its turn. Linux tells.

By this a hash knows whether the requests of its process need the cores. A priority alone does not do it: each of our
servers is a session of its own, which the kernel weighs as one, and two cores may be two halves of one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

_NANO = 1e9


class Demand:
    """Of one thread, since it was asked last. Where the kernel does not tell: 0."""

    def __init__(self, thread: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._file = f"/proc/self/task/{thread}/schedstat"
        self._monotonic = monotonic
        self._wanted, self._at = self._read(), monotonic()

    def share(self) -> float:
        wanted, now = self._read(), self._monotonic()
        share = (wanted - self._wanted) / max(now - self._at, 1e-6)
        self._wanted, self._at = wanted, now
        return share

    def _read(self) -> float:
        """By the bare calls: it comes after each hash, when all caches are cold."""
        try:
            file = os.open(self._file, os.O_RDONLY)
        except OSError:
            return 0.0
        try:
            ran, waited, _ = os.read(file, 128).split()
        except (OSError, ValueError):
            return 0.0
        finally:
            os.close(file)
        return (int(ran) + int(waited)) / _NANO
