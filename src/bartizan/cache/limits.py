"""Limits (design §3): a moving window over `limits` on Valkey. Keys are hashed here, as `limits` writes them in clear.

When Valkey is away this raises Unavailable, so that the caller decides (sign-in counts in PostgreSQL instead).
"""

from __future__ import annotations

import re
import time
from base64 import urlsafe_b64encode
from math import ceil
from typing import Any

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter

from bartizan.cache.connection import Line
from bartizan.cache.settings import CacheSettings
from bartizan.model.limit import Limit, Taken
from bartizan.protocol.secrets import Ring, mac

# The newest key only: counts are short-lived, and start anew when the ring rotates.
PURPOSE = "limits"


class ValkeyLimits:
    def __init__(self, settings: CacheSettings, pool: Any, line: Line, ring: Ring) -> None:
        self._key = ring.newest[1]
        self._line = line
        storage = RedisStorage(_storage_url(settings.url), connection_pool=pool, key_prefix="bz")
        self._limiter = MovingWindowRateLimiter(storage)

    async def hit(self, what: str, who: str, limit: Limit) -> Taken:
        item, key = _item(limit), self._hashed(what, who)
        with self._line.told_when_away():
            if await self._limiter.hit(item, key):
                return Taken(allowed=True, reset_seconds=0)
            window = await self._limiter.get_window_stats(item, key)
        wait = max(0, ceil(window.reset_time - time.time())) if window.remaining == 0 else 0
        return Taken(allowed=False, reset_seconds=wait)

    async def clear(self, what: str, who: str) -> None:
        """Whatever limit it was counted for: the rule's name and the counted are the key."""
        with self._line.told_when_away():
            await self._limiter.clear(_item(Limit(1, 1)), self._hashed(what, who))

    def _hashed(self, what: str, who: str) -> str:
        return urlsafe_b64encode(mac(self._key, what.encode(), who.encode())).decode()


class _Item(RateLimitItemPerSecond):
    """One key for one rule and one counted: theirs holds the amount and window too, which `clear` cannot know."""

    def key_for(self, *identifiers: bytes | str | int | float) -> str:
        return "limit/" + "/".join(map(str, identifiers))


def _item(limit: Limit) -> RateLimitItem:
    return _Item(limit.amount, limit.seconds)


def _storage_url(url: str) -> str:
    """`limits` knows its storage by a scheme of its own. (The pool, not this, holds the address.)

    For redis:// it would want another client; ours speaks to both.
    """
    url = re.sub(r"^redis(s?):", r"valkey\1:", url)
    return "async+valkey+" + url if url.startswith("unix:") else "async+" + url
