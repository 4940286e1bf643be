"""The cache as a whole: `Cache(settings, ring)` gives the limits over one pool. It does not wait for the server."""

from __future__ import annotations

from bartizan.cache import limits
from bartizan.cache.connection import Line, pool
from bartizan.cache.limits import ValkeyLimits
from bartizan.cache.settings import CacheSettings
from bartizan.protocol.secrets import KeyRing


class Cache:
    def __init__(self, settings: CacheSettings, ring: KeyRing) -> None:
        self._pool = pool(settings)
        self.limits = ValkeyLimits(self._pool, Line(), ring.purpose(limits.PURPOSE))

    async def close(self) -> None:
        await self._pool.disconnect()
