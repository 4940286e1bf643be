"""Flows §6, §7: time is the database's, for each of our servers, whatever the clock of its machine says.

A code must live its minute, an access token its five, on whichever machine they are asked for. So a process learns the
database's time with a statement of its own every few seconds, and counts on from there by a clock that nobody sets.
Until it has spoken to the database once, the machine's clock must do; nothing is issued or honoured before.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from bartizan.database.connection import Connection

AGAIN_AFTER = 5.0  # seconds
SLOW = 0.5  # an answer is wrong by up to half the time it took: what a standstill in between makes of it
TRUSTED = 60.0  # so long counting on is better than a slow answer


def counting() -> float:
    """Goes on while the machine sleeps, where there is such a clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class DatabaseClock:
    def __init__(
        self,
        machine: Callable[[], datetime] = lambda: datetime.now(UTC),
        counting: Callable[[], float] = counting,
    ) -> None:
        self._machine = machine
        self._counting = counting
        self._told: tuple[datetime, float] | None = None

    def __call__(self) -> datetime:
        if self._told is None:
            return self._machine()
        said, at = self._told
        return said + timedelta(seconds=self._counting() - at)

    async def learn(self, connection: Connection) -> None:
        """Asks, if it is time to. What the way takes is shared out evenly between there and back."""
        begun = self._counting()
        if self._told is not None and 0 <= begun - self._told[1] < AGAIN_AFTER:
            return
        said: datetime = await connection.fetchval("SELECT clock_timestamp()")
        ended = self._counting()
        if ended - begun > SLOW and self._told is not None and begun - self._told[1] < TRUSTED:
            return
        self._told = said, (begun + ended) / 2
