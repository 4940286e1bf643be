"""While the database is silent or away: JWKS is answered from memory, and who waits shares a failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

from tests.unit.auth.fake_ports import FakeChance, FakeClock
from tests.unit.auth.fakes import FakeStore
from tests.unit.auth.house import RING, SETTINGS

from bartizan.auth.endpoints.ended import Watch
from bartizan.auth.keys import SigningKeys
from bartizan.auth.server import AuthServer
from bartizan.model.store import Store
from bartizan.protocol.refusal import Unavailable


class Troubled:
    """A store that answers at once, or after a while that it does not answer."""

    def __init__(self, clock: FakeClock) -> None:
        self._store = FakeStore(clock)
        self.silent_for = 0.0
        self.asked = 0

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Any]:
        self.asked += 1
        if self.silent_for:
            await asyncio.sleep(self.silent_for)
            raise Unavailable("database")
        async with self._store.reading() as records:
            yield records

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        async with self._store.transaction() as records:
            yield records


def made() -> tuple[FakeClock, Troubled, SigningKeys]:
    clock = FakeClock()
    store = Troubled(clock)
    return clock, store, SigningKeys(SETTINGS, cast(Store, store), RING, clock, FakeChance())


def test_jwks_is_answered_while_the_database_says_nothing() -> None:
    async def work() -> None:
        clock, store, keys = made()
        before = await keys.jwks()
        clock.forward(30)
        store.silent_for = 0.6
        loop = asyncio.get_running_loop()
        begun = loop.time()
        assert await keys.jwks() == before
        assert 0.1 < loop.time() - begun < store.silent_for, "it looked, but not for long"
        begun = loop.time()
        assert [await keys.jwks() for _ in range(5)] == [before] * 5
        assert loop.time() - begun < 0.4, "one look is under way already"
        await asyncio.sleep(0.6)  # the look ends before the loop does

    asyncio.run(work())


def test_who_waits_for_keys_shares_the_failure() -> None:
    async def work() -> None:
        clock, store, keys = made()
        await keys.signer()
        clock.forward(30)
        store.silent_for, store.asked = 0.05, 0
        waiting = [keys.signer() for _ in range(20)] + [keys.exact() for _ in range(20)]
        told = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(one) for one in told] == [Unavailable] * 40
        assert store.asked == 1
        store.silent_for = 0.0
        await keys.signer()

    asyncio.run(work())


def test_readers_of_the_feed_share_the_failure() -> None:
    async def work() -> None:
        _, store, keys = made()
        await keys.signer()
        store.silent_for, store.asked = 0.05, 0
        watch = Watch(cast(AuthServer, SimpleNamespace(keys=keys, ports=SimpleNamespace(store=store))))
        told = await asyncio.gather(*(watch.until_new(1) for _ in range(20)), return_exceptions=True)
        assert [type(one) for one in told] == [Unavailable] * 20
        assert store.asked == 1

    asyncio.run(work())
