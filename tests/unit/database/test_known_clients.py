"""Clients held by a process (decision 0015): confirmed by one small look, never older than they may be."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import pytest
from tests.fixtures.records import a_client

from bartizan.database import known_clients
from bartizan.database.known_clients import LOOK_AFTER, OLDEST, KnownClients, Seen
from bartizan.model.clients import Client
from bartizan.protocol.refusal import Unavailable

ONE, TWO = a_client(id="one"), a_client(id="two")


class Database:
    """Answers what is so when it is let: `gate` closed, it has looked and keeps the answer back."""

    def __init__(self, *clients: Client) -> None:
        self.clients = {client.id: client for client in clients}
        self.change = 0
        self.asked: list[list[str]] = []
        self.away = False
        self.gate: asyncio.Event | None = None
        self.now = 1000.0
        self.known = KnownClients(self.see, lambda: self.now)

    def put(self, client: Client) -> None:
        self.clients[client.id] = client
        self.change += 1

    async def see(self, ids: Sequence[str]) -> Seen:
        self.asked.append(sorted(ids))
        if self.away:
            raise Unavailable("database")
        seen = Seen(str(self.change), {one: self.clients[one] for one in ids if one in self.clients})
        if self.gate is not None:
            await self.gate.wait()
        return seen

    async def later(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


async def _settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_who_is_held_is_asked_of_nobody_and_confirmed_while_nobody_waits() -> None:
    async def work() -> None:
        database = Database(ONE, TWO)
        known = database.known
        assert [await known.by_id(one) for one in ("one", "two", "one")] == [ONE, TWO, ONE]
        assert database.asked == [["one"], ["two"]]
        database.gate = asyncio.Event()
        await database.later(LOOK_AFTER)
        assert [await known.by_id(one) for one in ("one", "two", "one")] == [ONE, TWO, ONE], "nobody waits"
        await _settled()
        assert database.asked[2:] == [[]], "one look confirms all"
        database.gate.set()
        await _settled()
        await database.later(OLDEST - 0.1)
        assert await known.by_id("two") is TWO, "young since the look was begun"

    asyncio.run(work())


def test_a_change_counts_after_the_look_and_no_later_than_it_may() -> None:
    async def work() -> None:
        database = Database(ONE)
        known = database.known
        await known.by_id("one")
        off = msgspec.structs.replace(ONE, disabled=True)
        database.put(off)
        await database.later(LOOK_AFTER)
        assert await known.by_id("one") == ONE
        await _settled()
        assert await known.by_id("one") == off
        database.put(ONE)
        await database.later(OLDEST)
        assert await known.by_id("one") == ONE, "too old to go on with"

    asyncio.run(work())


def test_nobody_is_held_as_absent() -> None:
    async def work() -> None:
        database = Database(ONE)
        known = database.known
        assert await known.by_id("one") == ONE
        assert await known.by_id("two") is None
        database.put(TWO)
        assert await known.by_id("two") == TWO

    asyncio.run(work())


def test_while_the_database_is_away_they_grow_old_and_are_then_not_used() -> None:
    async def work() -> None:
        database = Database(ONE)
        known = database.known
        await known.by_id("one")
        database.away = True
        await database.later(LOOK_AFTER)
        assert await known.by_id("one") == ONE
        await _settled()
        await database.later(OLDEST - LOOK_AFTER)
        with pytest.raises(Unavailable):
            await known.by_id("one")
        database.away = False
        assert await known.by_id("one") == ONE

    asyncio.run(work())


def test_a_look_that_began_before_a_change_makes_nothing_younger_than_that() -> None:
    """It saw the marks of before, and comes back late: what it confirms was so when it was asked for, not now."""

    async def work() -> None:
        database = Database(ONE)
        known = database.known
        await known.by_id("one")
        database.gate = gate = asyncio.Event()
        await database.later(LOOK_AFTER)
        await known.by_id("one")
        await _settled()
        off = msgspec.structs.replace(ONE, disabled=True)
        database.put(off)
        database.gate = None
        await database.later(OLDEST - 0.1)
        gate.set()
        await _settled()
        await database.later(0.1)
        assert await known.by_id("one") == off

    asyncio.run(work())


def test_what_was_read_before_a_change_is_not_held_after_it() -> None:
    """A slow read of before, overtaken by one that has seen the change."""

    async def work() -> None:
        database = Database(ONE, TWO)
        known = database.known
        database.gate = gate = asyncio.Event()
        slow = asyncio.create_task(known.by_id("one"))
        await _settled()
        database.gate = None
        database.now += 0.01
        off = msgspec.structs.replace(ONE, disabled=True)
        database.put(off)
        await known._learn(["two"])
        gate.set()
        assert await slow == ONE, "as it was after it was asked"
        assert await known.by_id("one") == off

    asyncio.run(work())


def test_there_are_never_more_than_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_clients, "MOST", 10)

    async def work() -> None:
        database = Database(*(a_client(id=f"client-{number}") for number in range(25)))
        for number in range(25):
            assert await database.known.by_id(f"client-{number}") is not None
        assert [*database.known._held] == [f"client-{number}" for number in range(15, 25)]

    asyncio.run(work())


def test_who_waits_is_answered_by_one_statement_that_another_waited_for() -> None:
    """All have grown too old: the first asks, the others find them confirmed."""

    async def work() -> None:
        clients = [a_client(id=f"client-{number}") for number in range(50)]
        database = Database(*clients)
        for client in clients:
            await database.known.by_id(client.id)
        database.asked.clear()
        database.now += OLDEST
        answers = await asyncio.gather(*(database.known.by_id(client.id) for client in clients))
        assert answers == clients
        assert len(database.asked) == 1

    asyncio.run(work())
