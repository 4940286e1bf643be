"""The pool over a real PostgreSQL: hang-ups at any moment, cut transactions, connections that died unseen."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from contextlib import suppress
from typing import Any

import asyncpg
import pytest
from tests.fixtures.records import a_user, within

from bartizan.database.store import PostgresStore
from bartizan.protocol.refusal import Unavailable

pytestmark = pytest.mark.engine

OURS = "FROM pg_stat_activity WHERE application_name = 'bartizan' AND datname = current_database()"
ENDS = f"SELECT count(pg_terminate_backend(pid, 5000)) {OURS}"


async def outside(url: str, query: str) -> Any:
    connection: Any = await asyncpg.connect(url)  # type: ignore[no-untyped-call]  # asyncpg carries no types
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def until_none(url: str, which: str) -> None:
    """Of our sessions is `which`; the server takes a moment to see that one has gone."""
    until = time.monotonic() + 5
    while number := await outside(url, f"SELECT count(*) {OURS} AND {which}"):
        assert time.monotonic() < until, number


def while_nobody_looks(url: str, query: str) -> None:
    """The loop stands still until it is done, and so has seen nothing of it."""
    other = threading.Thread(target=lambda: asyncio.run(outside(url, query)))
    other.start()
    other.join()


async def pids(store: PostgresStore, number: int) -> set[int]:
    """So many connections at once, whole and able."""
    uses = [store.within(transaction=False) for _ in range(number)]
    found = {await (await use.__aenter__()).connection.fetchval("SELECT pg_backend_pid()") for use in uses}
    for use in uses:
        await use.__aexit__(None, None, None)
    return found


def test_who_hangs_up_at_any_moment_leaves_nothing_behind(empty_database_url: str) -> None:
    url, chance = empty_database_url, random.Random(7)

    async def work(store: PostgresStore) -> None:
        user = a_user()
        async with store.transaction() as records:
            await records.users.add(user, None)

        async def ask() -> None:
            async with store.within(transaction=chance.random() < 0.5) as handed:
                await handed.connection.execute("UPDATE users SET name = name WHERE id = $1", user.id)
                await handed.connection.fetchval("SELECT pg_sleep($1)", chance.choice((0.0, 0.001)))

        for _ in range(12):
            asked = [asyncio.create_task(ask()) for _ in range(12)]
            for task in asked:
                await asyncio.sleep(chance.random() * 0.001)
                if chance.random() < 0.7:
                    task.cancel()
            for told in await asyncio.gather(*asked, return_exceptions=True):
                assert told is None or isinstance(told, (asyncio.CancelledError, Unavailable)), told
        assert len(await pids(store, 3)) == 3, "a turn is lost"
        await until_none(url, "state <> 'idle'")
        assert await outside(url, f"SELECT count(*) {OURS}") <= 3
        await until_none(url, "pid NOT IN (" + ", ".join(map(str, await pids(store, 3))) + ")")

    within(url, work, pool_size=3)


def test_what_is_cut_short_is_left_off_by_the_server_too(empty_database_url: str) -> None:
    url = empty_database_url

    async def work(store: PostgresStore) -> None:
        begun = asyncio.Event()

        async def ask(transaction: bool) -> None:
            async with store.within(transaction=transaction) as handed:
                begun.set()
                await handed.connection.fetchval("SELECT pg_sleep(30)")

        for transaction in (False, True):
            begun.clear()
            asked = asyncio.create_task(ask(transaction))
            await begun.wait()
            await asyncio.sleep(0.05)  # the statement is on its way; if it were not, there would be less to leave off
            asked.cancel()
            with suppress(asyncio.CancelledError):
                await asked
            await until_none(url, "state <> 'idle'")
            assert await store.ready()

    within(url, work, pool_size=1, statement_seconds=20, acquire_seconds=4)


def test_what_comes_back_in_a_transaction_is_rolled_back(empty_database_url: str) -> None:
    url = empty_database_url

    async def work(store: PostgresStore) -> None:
        async with store.within(transaction=False) as handed:
            await handed.connection.execute("BEGIN; UPDATE meta SET epoch = 7")
        assert await store.epoch() == 1
        await until_none(url, "state <> 'idle'")

    within(url, work, pool_size=1)


def test_a_connection_that_says_nothing_in_time_is_cut(empty_database_url: str) -> None:
    async def wait(store: PostgresStore) -> None:
        async with store.within(transaction=True) as handed:
            await handed.connection.execute("SELECT pg_sleep(3)", timeout=0.05)

    async def work(store: PostgresStore) -> None:
        begun = time.monotonic()
        with pytest.raises(Unavailable):
            await wait(store)
        assert time.monotonic() - begun < 1, "nobody waits for its rollback"
        assert await store.ready()

    within(empty_database_url, work, pool_size=1)


@pytest.mark.parametrize("lent", [False, True])
def test_when_all_died_while_nobody_looked_one_is_lost_and_the_rest_are_not_tried(
    lent: bool, empty_database_url: str
) -> None:
    url = empty_database_url

    async def interrupted(store: PostgresStore) -> None:
        if not lent:
            while_nobody_looks(url, ENDS)
        async with store.within(transaction=True) as handed:
            if lent:
                while_nobody_looks(url, ENDS)
            await handed.connection.fetchval("SELECT 1")

    async def work(store: PostgresStore) -> None:
        before = await pids(store, 4)
        with pytest.raises(Unavailable):
            await interrupted(store)
        assert await store.epoch() == 1
        assert not before & await pids(store, 4)

    within(url, work, pool_size=4)


def test_ready_is_not_put_off_by_connections_that_died(empty_database_url: str) -> None:
    url = empty_database_url

    async def work(store: PostgresStore) -> None:
        await pids(store, 4)
        for asked in (1, 4):
            while_nobody_looks(url, ENDS)
            assert all(await asyncio.gather(*(store.ready() for _ in range(asked))))

    within(url, work, pool_size=4)


def test_a_schema_that_changes_beneath_a_transaction_costs_one_answer_and_not_one_of_each_connection(
    empty_database_url: str,
) -> None:
    url = empty_database_url
    query = "SELECT * FROM meta"

    async def read(store: PostgresStore) -> None:
        async with store.within(transaction=True) as handed:
            assert await handed.connection.fetchrow(query)

    async def work(store: PostgresStore) -> None:
        uses = [store.within(transaction=False) for _ in range(3)]
        for use in uses:
            await (await use.__aenter__()).connection.fetchrow(query)
        for use in uses:
            await use.__aexit__(None, None, None)
        await outside(url, "ALTER TABLE meta ADD COLUMN later int")
        with pytest.raises(Unavailable):
            await read(store)
        await asyncio.gather(*(read(store) for _ in range(3)))

    within(url, work, pool_size=3)
