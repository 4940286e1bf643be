"""The cache as a whole: `await connect(settings, ring)` gives limits and replay memory over one pool."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from bartizan.cache import limits, replay
from bartizan.cache.connection import Line, client, pool
from bartizan.cache.limits import ValkeyLimits
from bartizan.cache.replay import ValkeyReplayMemory
from bartizan.cache.settings import CacheSettings
from bartizan.protocol.refusal import Unavailable
from bartizan.protocol.secrets import KeyRing


class Cache:
    def __init__(self, settings: CacheSettings, ring: KeyRing) -> None:
        self._pool = pool(settings)
        self._client: Any = client(self._pool)
        self._line = Line()
        self.limits = ValkeyLimits(settings, self._pool, self._line, ring.purpose(limits.PURPOSE))
        self.replay = ValkeyReplayMemory(self._client, self._line, ring.purpose(replay.PURPOSE))

    async def ready(self) -> bool:
        """Whoever asks also marks a new memory's beginning."""
        try:
            await self.replay.begin()
        except Unavailable:
            return False
        return True

    async def figures(self) -> dict[str, int]:
        """For monitoring: `used_memory`, `connected_clients`, `keys`, `evicted_keys`."""
        with self._line.told_when_away():
            info = await self._client.info()
            keys = await self._client.dbsize()
        wanted = ("used_memory", "maxmemory", "connected_clients", "evicted_keys", "uptime_in_seconds")
        return {"keys": int(keys)} | {name: int(info.get(name, 0)) for name in wanted}

    async def close(self) -> None:
        await self._client.aclose()
        await self._pool.disconnect()


async def connect(settings: CacheSettings, ring: KeyRing) -> Cache:
    """Does not wait for the server."""
    cache = Cache(settings, ring)
    with suppress(Unavailable):
        await cache.replay.begin()
    return cache
