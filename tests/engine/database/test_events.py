"""Events: no address at rest, comparable within a day, sealed in whole transactions, filtered for the console."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.fixtures.records import (
    a_client,
    a_code,
    a_family,
    a_link,
    a_session,
    a_user,
    add_code,
    add_family,
    an_interaction,
    new_id,
    within,
)

from bartizan.database.purge import make_days, prune, purge
from bartizan.database.store import PostgresStore
from bartizan.model.event import Event, Seal
from bartizan.model.job import Job

pytestmark = pytest.mark.engine

ADDRESS = "203.0.113.77"


async def everything(store: PostgresStore) -> str:
    """Every table of the database as text."""
    async with store.within(transaction=False) as handed:
        tables = await handed.connection.fetch(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        texts = [
            await handed.connection.fetchval(f"SELECT string_agg(t::text, ' ') FROM {row['relname']} t") or ""
            for row in tables
        ]
        return "\n".join(texts)


async def age(store: PostgresStore, by: timedelta) -> None:
    async with store.within(transaction=False) as handed:
        await handed.connection.execute("UPDATE events SET at = at - $1::interval", by)


def test_an_address_is_kept_as_hash_and_network(empty_database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        async with store.transaction() as records:
            for address in (ADDRESS, ADDRESS, "203.0.113.78", None):
                await records.events.record(Event(code="signin.refused", address=address, detail={"try": "1"}))
        async with store.transaction() as records:
            await records.events.record(Event(code="signin.refused", address=ADDRESS))
            found = await records.events.latest(limit=10)
        hashes = [event.address_hash for event in found if event.network == "203.0.113.0/24"]
        assert len(hashes) == 4
        assert len(set(hashes)) == 2
        assert [event.network for event in found].count("") == 1
        assert ADDRESS not in await everything(store)

    within(empty_database_url, work)


def test_two_processes_use_one_key_of_the_day(empty_database_url: str) -> None:
    async def record(store: PostgresStore) -> None:
        async with store.transaction() as records:
            await records.events.record(Event(code="signin.refused", address=ADDRESS))

    for _ in range(2):
        within(empty_database_url, record)

    async def hashes(store: PostgresStore) -> set[bytes | None]:
        async with store.reading() as records:
            return {event.address_hash for event in await records.events.latest(limit=10)}

    assert len(within(empty_database_url, hashes)) == 1


def test_the_console_filters(empty_database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        user = new_id()
        async with store.transaction() as records:
            await records.events.record(Event(code="signin.done", user_id=user, client_id="app"))
            await records.events.record(Event(code="refresh.theft", user_id=user, client_id="other"))
            await records.events.record(Event(code="key.rotated"))
            latest = records.events.latest
            assert len(await latest(limit=2)) == 2
            assert [event.code for event in await latest(limit=9, severity="serious")] == ["refresh.theft"]
            assert [event.code for event in await latest(limit=9, client_id="app")] == ["signin.done"]
            assert len(await latest(limit=9, user_id=user)) == 2
            assert len(await latest(limit=9, code="key.rotated")) == 1
            assert await latest(limit=9, before=datetime(2020, 1, 1, tzinfo=UTC)) == []
            counted = await records.events.counts(("signin.done", "refresh.theft"), hours=24)
            assert {(code, number) for _, code, number in counted} == {("signin.done", 1), ("refresh.theft", 1)}
        with pytest.raises(ValueError, match="no row of EVENTS"):
            async with store.transaction() as records:
                await records.events.record(Event(code="made.up"))

    within(empty_database_url, work)


def test_a_segment_never_parts_a_transaction_and_passes_over_what_may_still_commit(empty_database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        async with store.transaction() as records:
            for _ in range(5):
                await records.events.record(Event(code="signin.done"))
        async with store.reading() as records:
            assert await records.events.unsealed(limit=10) == []
        await age(store, timedelta(minutes=6))
        async with store.transaction() as records:
            segment = await records.events.unsealed(limit=2)
            assert len(segment) == 5
            assert await records.events.last_seal() is None
            seal = Seal(
                number=1, first_at=segment[0].at, last_at=segment[-1].at, rows=5, digest=bytes(32), signature="x"
            )
            await records.events.add_seal(seal)
            assert await records.events.last_seal() == seal
            assert await records.events.unsealed(limit=2) == []

    within(empty_database_url, work)


def test_an_event_without_a_day_is_kept_and_moved_when_its_day_is_made(empty_database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        now = datetime.now(UTC)
        async with store.transaction() as records:
            await records.events.record(Event(code="signin.done"))
        await age(store, timedelta(days=-20))
        async with store.within(transaction=False) as handed:
            assert await handed.connection.fetchval("SELECT count(*) FROM events_default") == 1
        for _ in range(2):
            await make_days(store, now + timedelta(days=20))
        async with store.within(transaction=False) as handed:
            assert await handed.connection.fetchval("SELECT count(*) FROM events_default") == 0
            assert await handed.connection.fetchval("SELECT count(*) FROM events") == 1

    within(empty_database_url, work)


def test_thirty_one_days_later_the_rest_is_gone(empty_database_url: str) -> None:
    """Story 9 of issue 3."""

    async def work(store: PostgresStore) -> None:
        now = datetime.now(UTC)
        user, client = a_user(), a_client()
        session = a_session(user)
        async with store.transaction() as records:
            await records.users.add(user, "hash")
            await records.clients.add(client)
            await records.sessions.add(session, session.id.bytes)
            await add_code(records, b"code", a_code(user, client))
            await records.links.add(a_link(user))
            await records.interactions.add(b"interaction", an_interaction(client))
            await records.attempts.hit(b"attempt", seconds=60)
            await add_family(records, a_family(user, client))
            await records.ended.add(new_id())
            await records.events.record(Event(code="signin.done", user_id=user.id, address=ADDRESS))
            await records.jobs.enqueue(Job(id=new_id(), kind="mail.verify"))
        await make_days(store, now)
        await purge(store, now)
        await prune(store, now)
        counts = {table: await count(store, table) for table in ("events", "codes", "links", "families", "ended")}
        assert counts == dict.fromkeys(counts, 1)

        later = now + timedelta(days=31)
        await make_days(store, later)
        await purge(store, later)
        await prune(store, later)
        async with store.within(transaction=False) as handed:
            keys = await handed.connection.fetchval("SELECT min(day) FROM day_keys")
            assert keys is None or keys > now.date()
            partitions = await handed.connection.fetchval(
                r"SELECT count(*) FROM pg_class WHERE relname ~ '^events_\d{8}$' AND relname < $1",
                f"events_{later - timedelta(days=30):%Y%m%d}",
            )
            assert partitions == 0
        for table in ("codes", "links", "interactions", "attempts", "ended", "families"):
            assert await count(store, table) == 0, table
        async with store.reading() as records:
            left = await records.events.latest(limit=10)
        # The purge's own note carries the real clock's time: it is the only one that may stay.
        assert {event.code for event in left} <= {"purge.done"}
        text = await everything(store)
        assert "203.0.113" not in text

    within(empty_database_url, work)


async def count(store: PostgresStore, table: str) -> int:
    async with store.within(transaction=False) as handed:
        found: int = await handed.connection.fetchval(f"SELECT count(*) FROM {table}")
        return found
