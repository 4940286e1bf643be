"""Limits on a real Valkey: the window moves, races count right, no address is in it, and away is said at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from tests.fixtures.records import RING
from tests.fixtures.valkey import ValkeyServer
from valkey import Valkey

from bartizan.cache.cache import Cache
from bartizan.cache.settings import CacheSettings
from bartizan.model.limit import Limit
from bartizan.protocol.refusal import Unavailable

pytestmark = pytest.mark.engine

T = TypeVar("T")


def within(url: str, work: Callable[[Cache], Awaitable[T]]) -> T:
    async def run() -> T:
        cache = Cache(CacheSettings(url=url), RING)
        try:
            return await work(cache)
        finally:
            await cache.close()

    return asyncio.run(run())


def whole_content(server: ValkeyServer) -> bytes:
    """Every key and value, as a thief of the memory would see them."""
    raw: Any = Valkey(unix_socket_path=str(server.server.socket))
    try:
        return b"\n".join(key + b" " + (raw.dump(key) or b"") for key in raw.keys("*"))
    finally:
        raw.close()


def test_a_limit_allows_its_amount_whoever_asks_at_once(valkey: ValkeyServer) -> None:
    async def work(cache: Cache) -> None:
        limit = Limit(amount=10, seconds=60)
        taken = await asyncio.gather(*(cache.limits.hit("sign-in", "a@example.com", limit) for _ in range(30)))
        assert sum(one.allowed for one in taken) == 10
        refused = await cache.limits.hit("sign-in", "a@example.com", limit)
        assert refused.allowed is False
        assert 0 < refused.reset_seconds <= 60
        assert (await cache.limits.hit("sign-in", "b@example.com", limit)).allowed
        assert (await cache.limits.hit("sign-up", "a@example.com", limit)).allowed
        await cache.limits.clear("sign-in", "a@example.com")
        assert (await cache.limits.hit("sign-in", "a@example.com", limit)).allowed

    within(valkey.url, work)


def test_the_window_moves(valkey: ValkeyServer) -> None:
    async def work(cache: Cache) -> None:
        limit = Limit(amount=1, seconds=1)
        assert (await cache.limits.hit("moves", "x", limit)).allowed
        assert not (await cache.limits.hit("moves", "x", limit)).allowed
        await asyncio.sleep(1.1)  # Valkey counts by its own clock
        assert (await cache.limits.hit("moves", "x", limit)).allowed

    within(valkey.url, work)


def test_no_address_is_in_valkey(valkey: ValkeyServer) -> None:
    async def work(cache: Cache) -> None:
        await cache.limits.hit("sign-in", "203.0.113.77", Limit(5, 60))

    within(valkey.url, work)
    content = whole_content(valkey)
    assert b"limit/" in content
    assert b"203.0.113" not in content
    assert b"sign-in" not in content


def test_away_is_said_at_once_and_a_restart_is_found(valkey: ValkeyServer) -> None:
    async def work(cache: Cache) -> None:
        await cache.limits.hit("restart", "x", Limit(5, 60))
        valkey.kill()
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await cache.limits.hit("restart", "x", Limit(5, 60))
        assert time.monotonic() - began < 2
        valkey.start()
        told = [(await cache.limits.hit("restart", "x", Limit(5, 60))).allowed for _ in range(6)]
        assert told == [True] * 5 + [False]  # counted anew

    within(valkey.url, work)


def test_full_memory_refuses_and_forgets_nothing(valkey: ValkeyServer) -> None:
    async def fill(cache: Cache) -> None:
        for number in range(50_000):
            await cache.limits.hit("full", str(number), Limit(5, 60))

    async def work(cache: Cache) -> None:
        raw: Any = Valkey(unix_socket_path=str(valkey.server.socket))
        assert raw.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        raw.config_set("maxmemory", "1mb")
        try:
            with pytest.raises(Unavailable):
                await fill(cache)
        finally:
            raw.config_set("maxmemory", "64mb")
            raw.flushdb()
            raw.close()

    within(valkey.url, work)


@pytest.mark.parametrize("scheme", ["valkey", "valkeys", "redis", "rediss"])
def test_every_spelling_of_an_address_is_taken(scheme: str) -> None:
    """Nobody is there; that is found out by asking, and not by the spelling."""

    async def work(cache: Cache) -> None:
        with pytest.raises(Unavailable):
            await cache.limits.hit("sign-in", "a@example.com", Limit(amount=1, seconds=60))

    within(f"{scheme}://127.0.0.1:1/0", work)
