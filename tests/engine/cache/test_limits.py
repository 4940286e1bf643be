"""Limits on a real Valkey: the window moves, races count right, no address is in it, and away is said at once."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
import uvloop
from tests.fixtures.records import RING
from tests.fixtures.valkey import ValkeyServer
from valkey import Valkey
from valkey.crc import key_slot

from bartizan.cache.cache import Cache
from bartizan.cache.settings import CacheSettings
from bartizan.model.limit import Limit, Limits, Taken, Try
from bartizan.protocol.refusal import Unavailable

pytestmark = pytest.mark.engine

T = TypeVar("T")
MINUTE = Limit(5, 60)


def within(url: str, work: Callable[[Cache], Awaitable[T]]) -> T:
    async def run() -> T:
        cache = Cache(CacheSettings(url=url), RING)
        try:
            return await work(cache)
        finally:
            await cache.close()

    return uvloop.run(run())


def raw(server: ValkeyServer) -> Any:
    return Valkey(unix_socket_path=str(server.server.socket))


def whole_content(server: ValkeyServer) -> bytes:
    """Every key and value, as a thief of the memory would see them."""
    asked = raw(server)
    try:
        return b"\n".join(key + b" " + (asked.dump(key) or b"") for key in asked.keys("*"))
    finally:
        asked.close()


async def one(limits: Limits, what: str, who: str, limit: Limit = MINUTE) -> Taken:
    (taken,) = await limits.take(Try(what, who, limit))
    return taken


def test_a_limit_allows_its_amount_whoever_asks_at_once(valkey: ValkeyServer) -> None:
    async def work(cache: Cache) -> None:
        limit = Limit(amount=10, seconds=60)
        taken = await asyncio.gather(*(one(cache.limits, "sign-in", "a@example.com", limit) for _ in range(30)))
        assert sum(one.allowed for one in taken) == 10
        refused = await one(cache.limits, "sign-in", "a@example.com", limit)
        assert refused.allowed is False
        assert 0 < refused.reset_seconds <= 60
        assert (await one(cache.limits, "sign-in", "b@example.com", limit)).allowed
        assert (await one(cache.limits, "sign-up", "a@example.com", limit)).allowed
        await cache.limits.clear("sign-in", "a@example.com")
        assert (await one(cache.limits, "sign-in", "a@example.com", limit)).allowed

    within(valkey.url, work)


def test_what_one_of_several_refuses_counts_for_none(valkey: ValkeyServer) -> None:
    async def work(cache: Cache) -> None:
        def both(person: str, network: str) -> tuple[Try, Try]:
            return Try("all.person", person, Limit(2, 60)), Try("all.network", network, Limit(3, 60))

        assert [await cache.limits.take(*both("ann", "home")) for _ in range(2)] == [
            (Taken(True, 0, 0), Taken(True, 0, 0)),
            (Taken(True, 0, 1), Taken(True, 0, 1)),
        ]
        for _ in range(5):  # who hammers at one name uses up nobody else's tries
            ann, home = await cache.limits.take(*both("ann", "home"))
            assert (ann.allowed, home.allowed) == (False, True)
            assert 0 < ann.reset_seconds <= 60
        assert all(one.allowed for one in await cache.limits.take(*both("bob", "home")))
        for _ in range(5):  # and a network without tries none of a person's
            bob, home = await cache.limits.take(*both("bob", "home"))
            assert (bob.allowed, home.allowed) == (True, False)
        assert await cache.limits.take(*both("bob", "away")) == (Taken(True, 0, 1), Taken(True, 0, 0))

    within(valkey.url, work)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_comes_at_once_from_several_nodes_no_limit_lets_more_through(valkey: ValkeyServer, seed: int) -> None:
    """Three nodes, people and networks in all pairs, some forgiven before: what is let through fits every limit, and
    nothing is refused that would have fitted."""
    dice = random.Random(seed)
    people, networks = [f"{seed}-{name}" for name in "abcde"], [f"{seed}-{name}" for name in "xyz"]
    person, network = Limit(4, 60), Limit(7, 60)
    asked = [(dice.choice(people), dice.choice(networks)) for _ in range(200)]

    async def run() -> None:
        nodes = [Cache(CacheSettings(url=valkey.url), RING) for _ in range(3)]
        try:
            for _ in range(3):
                await nodes[0].limits.take(Try("race.person", people[0], person))
            await nodes[0].limits.clear("race.person", people[0])
            answers = await asyncio.gather(
                *(
                    nodes[number % 3].limits.take(Try("race.person", who, person), Try("race.network", where, network))
                    for number, (who, where) in enumerate(asked)
                )
            )
        finally:
            for node in nodes:
                await node.close()
        let = [pair for pair, taken in zip(asked, answers, strict=True) if all(one.allowed for one in taken)]
        by_person, by_network = Counter(who for who, _ in let), Counter(where for _, where in let)
        assert max(by_person.values()) <= person.amount
        assert max(by_network.values()) <= network.amount
        for who, where in set(asked) - set(let):
            assert by_person[who] == person.amount or by_network[where] == network.amount

    uvloop.run(run())


def test_no_window_holds_more_than_its_amount_wherever_it_begins(valkey: ValkeyServer) -> None:
    """Not a fixed window, which lets twice as many through around its end."""
    limit = Limit(amount=5, seconds=1)
    begun, allowed = time.monotonic(), []

    async def work(cache: Cache) -> None:
        while time.monotonic() - begun < 2.2:
            before = time.monotonic()
            if (await one(cache.limits, "window", "x", limit)).allowed:
                allowed.append((before, time.monotonic()))
            await asyncio.sleep(0.01)

    within(valkey.url, work)
    assert len(allowed) >= 2 * limit.amount
    for (begin, _), (_, end) in zip(allowed, allowed[limit.amount :], strict=False):
        assert end - begin >= limit.seconds


def test_how_long_to_wait_is_true(valkey: ValkeyServer) -> None:
    async def work(cache: Cache) -> None:
        limit = Limit(amount=1, seconds=1)
        assert (await one(cache.limits, "moves", "x", limit)).allowed
        refused = await one(cache.limits, "moves", "x", limit)
        assert (refused.allowed, refused.reset_seconds) == (False, 1)
        await asyncio.sleep(refused.reset_seconds)
        assert (await one(cache.limits, "moves", "x", limit)).allowed

    within(valkey.url, work)


def test_a_key_holds_no_more_than_its_amount_and_goes_by_itself(valkey: ValkeyServer) -> None:
    asked = raw(valkey)
    asked.flushdb()
    try:
        within(valkey.url, lambda cache: asyncio.gather(*(one(cache.limits, "m", "x", Limit(7, 9)) for _ in range(50))))
        within(valkey.url, lambda cache: one(cache.limits, "m", "x", Limit(3, 9)))
        (key,) = asked.keys("*")
        assert (asked.llen(key), asked.ttl(key)) == (7, 9), "refused: nothing was counted or prolonged"
        for at in range(7):
            asked.lset(key, at, 1_000_000)  # long ago
        within(valkey.url, lambda cache: asyncio.gather(*(one(cache.limits, "m", "x", Limit(7, 9)) for _ in range(5))))
        assert asked.llen(key) == 7, "what was long ago makes room"
        within(valkey.url, lambda cache: one(cache.limits, "m", "x", Limit(8, 5)))
        within(valkey.url, lambda cache: one(cache.limits, "m", "y", Limit(1, 5)))
        assert asked.ttl(key) == 5
        assert {asked.llen(key) for key in asked.keys("*")} == {8, 1}
    finally:
        asked.close()


@pytest.mark.parametrize("ahead", [1, 3600])
def test_after_the_servers_clock_went_back_nobody_waits_longer_than_a_window_and_nobody_gains(
    valkey: ValkeyServer, ahead: int
) -> None:
    asked, limit = raw(valkey), Limit(3, 60)
    asked.flushdb()

    async def work(cache: Cache) -> None:
        for _ in range(3):
            assert (await one(cache.limits, "back", "x", limit)).allowed
        (key,) = asked.keys("*")
        for at, time_ in enumerate(asked.lrange(key, 0, -1)):  # as if they had been noted before it was put back
            asked.lset(key, at, int(time_) + ahead * 1_000_000)
        refused = await one(cache.limits, "back", "x", limit)
        assert (refused.allowed, refused.reset_seconds) == (False, 60)
        seconds, micro = asked.time()
        assert all(int(time_) <= seconds * 1_000_000 + micro for time_ in asked.lrange(key, 0, -1))

    try:
        within(valkey.url, work)
    finally:
        asked.close()


def test_no_address_is_in_valkey(valkey: ValkeyServer) -> None:
    within(valkey.url, lambda cache: one(cache.limits, "sign-in", "203.0.113.77"))
    content = whole_content(valkey)
    assert b"limit/" in content
    assert b"203.0.113" not in content
    assert b"sign-in" not in content


def test_away_is_said_at_once_and_a_restart_is_found(valkey: ValkeyServer) -> None:
    """A server that began anew does not know the script either."""

    async def work(cache: Cache) -> None:
        await one(cache.limits, "restart", "x")
        valkey.kill()
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await one(cache.limits, "restart", "x")
        assert time.monotonic() - began < 1
        valkey.start()
        told = [(await one(cache.limits, "restart", "x")).allowed for _ in range(6)]
        assert told == [True] * 5 + [False]  # counted anew

    within(valkey.url, work)


def test_however_many_limits_it_is_one_command(valkey: ValkeyServer) -> None:
    asked = raw(valkey)

    def calls() -> Counter[str]:
        told = asked.info("commandstats")
        return Counter(
            {name: told.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("evalsha", "eval", "script")}
        )

    async def work(cache: Cache) -> None:
        three = tuple(Try("cheap", who, MINUTE) for who in "xyz")
        await cache.limits.take(*three)  # now the server knows the script
        before = calls()
        answers = [await cache.limits.take(*three) for _ in range(6)]
        assert [taken[0].allowed for taken in answers] == [True] * 4 + [False] * 2
        assert calls() - before == {"evalsha": 6}

    try:
        within(valkey.url, work)
    finally:
        asked.close()


def test_a_cluster_finds_all_keys_of_a_command_in_one_slot(valkey: ValkeyServer) -> None:
    asked = raw(valkey)
    asked.flushdb()
    try:
        within(valkey.url, lambda cache: cache.limits.take(*(Try("slot", who, MINUTE) for who in "abcdefgh")))
        assert (len(asked.keys("*")), len({key_slot(key) for key in asked.keys("*")})) == (8, 1)
    finally:
        asked.close()


def test_full_memory_refuses_and_forgets_nothing(valkey: ValkeyServer) -> None:
    async def fill(cache: Cache) -> None:
        for number in range(50_000):
            await one(cache.limits, "full", str(number))

    async def work(cache: Cache) -> None:
        asked = raw(valkey)
        assert asked.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        asked.config_set("maxmemory", "1mb")
        try:
            with pytest.raises(Unavailable) as told:
                await fill(cache)
            assert "maxmemory" in str(told.value.__cause__)
        finally:
            asked.config_set("maxmemory", "64mb")
            asked.flushdb()
            asked.close()

    within(valkey.url, work)


@pytest.mark.parametrize("scheme", ["valkey", "valkeys", "redis", "rediss"])
def test_every_spelling_of_an_address_is_taken(scheme: str) -> None:
    """Nobody is there; that is found out by asking, and not by the spelling."""

    async def work(cache: Cache) -> None:
        with pytest.raises(Unavailable):
            await one(cache.limits, "sign-in", "a@example.com")

    within(f"{scheme}://127.0.0.1:1/0", work)
