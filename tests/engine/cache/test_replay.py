"""The replay memory on a real Valkey: once means once, and a lost memory accepts nothing from before its loss."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from tests.engine.cache.test_limits import within
from tests.fixtures.valkey import ValkeyServer
from valkey import Valkey

from bartizan.cache.memory import Cache
from bartizan.cache.replay import LEEWAY

pytestmark = pytest.mark.engine


def test_of_many_at_once_one_is_the_first(valkey: ValkeyServer) -> None:
    async def work(cache: Cache) -> None:
        later = int(time.time()) + 60
        firsts = await asyncio.gather(
            *(cache.replay.first_time("jti", "one", issued_at=later, ttl_seconds=60) for _ in range(30))
        )
        assert sum(firsts) == 1
        assert await cache.replay.first_time("another kind", "one", issued_at=later, ttl_seconds=60)

    within(valkey.url, work)


@pytest.mark.parametrize("loss", ["flush", "restart"])
def test_after_a_loss_nothing_issued_before_it_is_taken(valkey: ValkeyServer, loss: str) -> None:
    async def work(cache: Cache) -> None:
        issued = int(time.time()) + LEEWAY + 1
        assert await cache.replay.first_time("jti", loss, issued_at=issued, ttl_seconds=600)
        if loss == "flush":
            raw: Any = Valkey(unix_socket_path=str(valkey.server.socket))
            raw.flushall()
            raw.close()
        else:
            valkey.kill()
            valkey.start()
        earlier = int(time.time()) - 1
        assert not await cache.replay.first_time("jti", loss, issued_at=earlier, ttl_seconds=600)
        assert not await cache.replay.first_time("jti", "unseen", issued_at=earlier, ttl_seconds=600)
        later = int(time.time()) + LEEWAY + 2
        assert await cache.replay.first_time("jti", "new", issued_at=later, ttl_seconds=600)

    within(valkey.url, work)
