"""What every server of a process is handed, built once (house rule 13)."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime

from msgspec import Struct

from bartizan.cache.cache import Cache
from bartizan.cache.settings import CacheSettings
from bartizan.database.settings import DatabaseSettings
from bartizan.database.store import PostgresStore, connect
from bartizan.monitoring.meter import PrometheusMeter
from bartizan.protocol.secrets import KeyRing
from bartizan.stack import compile as compiled
from bartizan.stack import effective
from bartizan.stack.effective import Effective

NOWHERE = "/nonexistent"


class Parts(Struct, frozen=True, kw_only=True):
    at: Effective
    ring: KeyRing
    meter: PrometheusMeter
    store: PostgresStore
    cache: Cache
    clock: Callable[[], datetime]
    chance: Callable[[int], bytes]

    async def close(self) -> None:
        await self.cache.close()
        await self.store.close()


async def live(at: Effective) -> Parts:
    """Waits for nobody: what is away answers 503 until it comes."""
    return await _parts(at, effective.ring(at), compiled.database(at), compiled.cache_url(at))


async def idle(at: Effective) -> Parts:
    """For tables alone (`routes`, `check`, a gateway by itself): no secret is read and nobody is dialled."""
    ring = KeyRing((("00000000", os.urandom(32)),))
    store = DatabaseSettings(url=f"postgresql://nobody@/nothing?host={NOWHERE}")
    return await _parts(at, ring, store, f"unix://{NOWHERE}/valkey.sock")


async def _parts(at: Effective, ring: KeyRing, database: DatabaseSettings, cache_url: str) -> Parts:
    store = await connect(database, ring)
    return Parts(
        at=at,
        ring=ring,
        meter=PrometheusMeter(),
        store=store,
        cache=Cache(CacheSettings(url=cache_url), ring),
        clock=store.clock,
        chance=os.urandom,
    )
