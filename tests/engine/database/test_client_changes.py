"""Decision 0015, on the real engine: the marks are the same only if no change of clients was committed in between."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

import pytest
from tests.fixtures.records import RING, a_client, within

from bartizan.database.connection import Connection
from bartizan.database.settings import DatabaseSettings
from bartizan.database.store import PostgresStore, connect

pytestmark = pytest.mark.engine

MARKS = "SELECT string_agg(mark::text, ' ' ORDER BY mark) FROM client_changes"
# Marks and what they stand for, of one snapshot.
SEEN = (
    f"SELECT ({MARKS}) AS marks, (SELECT string_agg(id || name || disabled, ' ' ORDER BY id) FROM clients) AS clients"
)


def _on_connections(url: str, count: int, work: Callable[[PostgresStore, list[Connection]], Awaitable[None]]) -> None:
    """Each connection is a hand at the console of the database, past everything that we wrote."""

    async def run(store: PostgresStore) -> None:
        async def deeper(held: list[Connection]) -> None:
            if len(held) == count:
                await work(store, held)
                return
            async with store.within(transaction=False) as handed:
                await deeper([*held, handed.connection])

        await deeper([])

    within(url, run)


async def _add(store: PostgresStore, *names: str) -> None:
    async with store.transaction() as records:
        for name in names:
            await records.clients.add(a_client(id=name))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE clients SET name = 'By hand' WHERE id = 'a'",
        "INSERT INTO clients SELECT (jsonb_populate_record(clients, '{\"id\": \"b\"}')).* FROM clients WHERE id = 'a'",
        "DELETE FROM clients WHERE id = 'a'",
        "TRUNCATE clients CASCADE",
        "BEGIN; SAVEPOINT s; UPDATE clients SET name = 'x'; ROLLBACK TO s; UPDATE clients SET name = 'y'; COMMIT",
    ],
)
def test_whatever_changes_clients_leaves_a_mark(empty_database_url: str, statement: str) -> None:
    async def work(store: PostgresStore, hands: list[Connection]) -> None:
        (hand,) = hands
        await _add(store, "a")
        before = await hand.fetchval(MARKS)
        await hand.execute(statement)
        assert await hand.fetchval(MARKS) != before
        assert await hand.fetchval("SELECT count(*) FROM client_changes") == 1, "and takes the others away"

    _on_connections(empty_database_url, 1, work)


def test_the_mark_asks_for_no_right_of_its_own_and_is_left_in_a_replicas_session_too(database_url: str) -> None:
    """Of the catalogue, as this server's owner may make no other role."""

    async def work(store: PostgresStore, hands: list[Connection]) -> None:
        row = await hands[0].fetchrow(
            """
            SELECT prosecdef, tgenabled = 'A' AS always, proconfig::text LIKE '%search_path=%' AS named
            FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
            WHERE tgrelid = 'clients'::regclass AND NOT tgisinternal
            """
        )
        assert row is not None
        assert dict(row) == {"prosecdef": True, "always": True, "named": True}

    _on_connections(database_url, 1, work)


def test_a_temporary_table_of_the_same_name_takes_no_marks(empty_database_url: str) -> None:
    """It would come first on the path, and its default would run with the rights of the function's owner."""

    async def work(store: PostgresStore, hands: list[Connection]) -> None:
        (hand,) = hands
        await _add(store, "a")
        ours = MARKS.replace("client_changes", "public.client_changes")
        before = await hand.fetchval(ours)
        await hand.execute("CREATE TEMPORARY TABLE client_changes (LIKE public.client_changes INCLUDING ALL)")
        await hand.execute("UPDATE clients SET name = 'By hand' WHERE id = 'a'")
        assert await hand.fetchval(ours) != before
        assert await hand.fetchval("SELECT count(*) FROM pg_temp.client_changes") == 0

    _on_connections(empty_database_url, 1, work)


def test_what_was_rolled_back_leaves_none_and_a_thousand_statements_leave_one(empty_database_url: str) -> None:
    async def work(store: PostgresStore, hands: list[Connection]) -> None:
        (hand,) = hands
        await _add(store, "a")
        before = await hand.fetchval(MARKS)
        await hand.execute("BEGIN; UPDATE clients SET name = 'x'; ROLLBACK")
        assert await hand.fetchval(MARKS) == before
        loop = "FOR i IN 1..1000 LOOP UPDATE clients SET name = i::text; END LOOP"
        await hand.execute(f"DO $$ BEGIN {loop}; END $$")
        assert await hand.fetchval(MARKS) != before
        assert await hand.fetchval(
            "SELECT n_tup_ins < 10 FROM pg_stat_xact_user_tables WHERE relname = 'client_changes'"
        )

    _on_connections(empty_database_url, 1, work)


@pytest.mark.parametrize("first_commits_last", [True, False])
def test_a_change_that_is_committed_after_a_later_one_is_seen_too(
    empty_database_url: str, first_commits_last: bool
) -> None:
    """Where a counter would be drawn before the commit, who looked in between would hold the old row for ever."""

    async def work(store: PostgresStore, hands: list[Connection]) -> None:
        await _add(store, "a", "b")
        one, other, reader = hands
        looks = [await reader.fetchval(MARKS)]
        await one.execute("BEGIN; UPDATE clients SET disabled = true WHERE id = 'a'")
        async with asyncio.timeout(5):  # nobody waits for another's commit
            await other.execute("BEGIN; UPDATE clients SET disabled = true WHERE id = 'b'")
        looks.append(await reader.fetchval(MARKS))
        for hand in (other, one) if first_commits_last else (one, other):
            await hand.execute("COMMIT")
            looks.append(await reader.fetchval(MARKS))
        assert looks[0] == looks[1], "nothing was committed"
        assert len({*looks}) == 3, "each commit is another"

    _on_connections(empty_database_url, 3, work)


def test_the_same_marks_stand_for_the_same_clients_whoever_changes_what_at_once(empty_database_url: str) -> None:
    """Three hands change, each in its own time, and put back what was; two look. The seed is printed."""
    seed = random.randrange(2**32)
    print("seed", seed)
    dice = random.Random(seed)

    async def work(store: PostgresStore, hands: list[Connection]) -> None:
        await _add(store, "a", "b", "c")
        seen: dict[str, str] = {}
        until = time.monotonic() + 1.5

        async def change(hand: Connection, mine: str) -> None:
            while time.monotonic() < until:
                await hand.execute("BEGIN")
                for _ in range(dice.randint(1, 3)):
                    await hand.execute("UPDATE clients SET name = $2 WHERE id = $1", mine, str(dice.randrange(1000)))
                    await asyncio.sleep(dice.choice((0, 0, 0.003)))
                await hand.execute(dice.choice(("COMMIT", "COMMIT", "ROLLBACK")))

        async def look(hand: Connection) -> None:
            while time.monotonic() < until:
                row = await hand.fetchrow(SEEN)
                assert row is not None
                assert seen.setdefault(row["marks"], row["clients"]) == row["clients"]

        changing = [change(hand, mine) for hand, mine in zip(hands, "abc", strict=False)]
        await asyncio.gather(*changing, look(hands[3]), look(hands[4]))
        assert len(seen) > 50
        await hands[0].execute("UPDATE clients SET name = 'last'")
        assert await hands[0].fetchval("SELECT count(*) FROM client_changes") == 1, "what others left is taken away"

    _on_connections(empty_database_url, 5, work)


def test_a_change_by_hand_is_seen_by_every_node_in_time(empty_database_url: str) -> None:
    """Both hold the client and are asked all the time: by each it is told within the two seconds of flows §7."""

    async def work(store: PostgresStore, hands: list[Connection]) -> None:
        await _add(store, "a", "b")

        async def other_node(other: PostgresStore) -> None:
            nodes = (store, other)
            for node in nodes:
                assert await node.lookups.client("a") is not None
                assert await node.lookups.client("b") is not None
            await hands[0].execute("UPDATE clients SET disabled = true WHERE id = 'a'")
            changed_at = time.monotonic()
            for node in nodes:
                while (client := await node.lookups.client("a")) is not None and not client.disabled:
                    assert time.monotonic() - changed_at < 2
                    await asyncio.sleep(0.01)
                unchanged = await node.lookups.client("b")
                assert unchanged is not None
                assert not unchanged.disabled
            await hands[0].execute("DELETE FROM clients WHERE id = 'a'")
            changed_at = time.monotonic()
            for node in nodes:
                while await node.lookups.client("a") is not None:
                    assert time.monotonic() - changed_at < 2
                    await asyncio.sleep(0.01)

        other = await _connected(empty_database_url)
        try:
            await other_node(other)
        finally:
            await other.close()

    _on_connections(empty_database_url, 1, work)


async def _connected(url: str) -> PostgresStore:
    return await connect(DatabaseSettings(url=url), RING)
