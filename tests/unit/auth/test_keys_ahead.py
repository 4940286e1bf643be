"""Signing keys are read again before they are too old, beside those who use them; never used when they are older."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from tests.unit.auth.fake_ports import FakeChance, FakeClock
from tests.unit.auth.fakes import FakeStore
from tests.unit.auth.house import RING, SETTINGS

from bartizan.auth import keys as auth_keys
from bartizan.auth.keys import REFRESH_SECONDS, SigningKeys
from bartizan.model.store import Store
from bartizan.protocol.refusal import Unavailable


class Slow:
    """A store whose reads come back when the gate is opened, with what was so when they began."""

    def __init__(self, clock: FakeClock) -> None:
        self.inner = FakeStore(clock)
        self.gate = asyncio.Event()
        self.gate.set()
        self.away = False
        self.reads = 0
        self.transaction = self.inner.transaction

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Any]:
        self.reads += 1
        seen = FakeStore(self.inner.clock)
        seen.tables.keys = {**self.inner.tables.keys}
        await self.gate.wait()
        if self.away:
            raise Unavailable("database")
        async with seen.reading() as records:
            yield records


async def _settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def _made() -> tuple[FakeClock, Slow, SigningKeys]:
    clock = FakeClock()
    store = Slow(clock)
    keys = SigningKeys(SETTINGS, cast(Store, store), RING, clock, FakeChance())
    await keys.signer()
    store.reads = 0
    return clock, store, keys


async def _withdraw(clock: FakeClock, store: Slow, kid: str) -> None:
    """The next one signs at once, as `key withdraw` has it."""
    assert await auth_keys.withdraw(SETTINGS, cast(Store, store), RING, clock, FakeChance(), kid)


def test_nobody_waits_while_they_are_read_again() -> None:
    async def work() -> None:
        clock, store, keys = await _made()
        store.gate.clear()
        clock.forward(REFRESH_SECONDS * 0.6)
        before = [await asyncio.wait_for(keys.signer(), 1) for _ in range(5)]
        await _settled()
        assert store.reads == 1, "one for all"
        store.gate.set()
        await _settled()
        clock.forward(REFRESH_SECONDS * 0.9)
        store.gate.clear()
        assert await asyncio.wait_for(keys.signer(), 1) is before[0], "young since that reading began"
        store.gate.set()
        await _settled()

    asyncio.run(work())


def test_what_a_slow_reading_gives_is_as_old_as_its_beginning() -> None:
    """It began before the key was withdrawn and came back after: it makes the key no younger."""

    async def work() -> None:
        clock, store, keys = await _made()
        kid = (await keys.signer()).kid
        store.gate.clear()
        clock.forward(REFRESH_SECONDS * 0.6)
        await keys.signer()
        await _settled()
        await _withdraw(clock, store, kid)
        clock.forward(REFRESH_SECONDS * 0.9)
        store.gate.set()
        await _settled()
        assert (await keys.signer()).kid == kid, "withdrawn less than that ago"
        clock.forward(REFRESH_SECONDS * 0.1)
        assert (await keys.signer()).kid != kid

    asyncio.run(work())


def test_a_reading_that_fails_beside_them_ends_nothing_before_its_time() -> None:
    async def work() -> None:
        clock, store, keys = await _made()
        store.away = True
        clock.forward(REFRESH_SECONDS * 0.6)
        await keys.signer()
        await _settled()
        await keys.signer()
        clock.forward(REFRESH_SECONDS * 0.4)
        with pytest.raises(Unavailable):
            await keys.signer()

    asyncio.run(work())


def test_who_waited_takes_what_another_has_read_since() -> None:
    """However slow it was: else each of those who wait would read it once more, one after the other."""

    async def work() -> None:
        clock, store, keys = await _made()
        clock.forward(REFRESH_SECONDS * 2)
        store.gate.clear()
        waiting = [asyncio.create_task(keys.signer()) for _ in range(20)]
        await _settled()
        clock.forward(REFRESH_SECONDS * 2)
        store.gate.set()
        await asyncio.gather(*waiting)
        assert store.reads == 2, "one that was under way when most of them asked, and one that began after"

    asyncio.run(work())
