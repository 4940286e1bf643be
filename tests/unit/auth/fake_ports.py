"""What the auth server is handed beside its store: a clock and dice of the test's, and ports that refuse nothing."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from bartizan.model.limit import Taken, Try

START = datetime(2030, 1, 1, tzinfo=UTC)


class FakeClock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class FakeChance:
    """Never the same twice, always the same from run to run."""

    def __init__(self) -> None:
        self._drawn = 0

    def __call__(self, size: int) -> bytes:
        self._drawn += 1
        return hashlib.shake_256(str(self._drawn).encode()).digest(size)


class FakeLimits:
    async def take(self, *tries: Try) -> tuple[Taken, ...]:
        return (Taken(True, 0),) * len(tries)

    async def clear(self, what: str, who: str) -> None:
        return None


class FakeMeter:
    def count(self, name: str, /, amount: float = 1, **labels: str) -> None:
        return None

    def observe(self, name: str, seconds: float, /, **labels: str) -> None:
        return None

    def set(self, name: str, value: float, /, **labels: str) -> None:
        return None


class FakeHealth:
    async def overview(self) -> None:
        return None


class FakePasswords:
    def full(self, who: str = "") -> int:
        return 0

    async def hash(self, password: str) -> str:
        return f"hash of {password}"

    async def verify(self, password_hash: str | None, password: str, *, who: str = "") -> bool:
        return password_hash == f"hash of {password}"
