"""The store: all or nothing, deadlines that end in 503, and a pool that heals when PostgreSQL comes back."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from tests.fixtures.postgres import new_server
from tests.fixtures.records import a_user, new_id, within

from bartizan.database import migrate
from bartizan.database.store import PostgresStore
from bartizan.model.event import Event
from bartizan.model.job import Job
from bartizan.model.users import User
from bartizan.protocol.refusal import Unavailable

pytestmark = pytest.mark.engine


class Changed(Exception):  # noqa: N818 - a test's own
    """The caller changed its mind."""


async def number_of(store: PostgresStore, table: str) -> int:
    async with store.within(transaction=False) as handed:
        found: int = await handed.connection.fetchval(f"SELECT count(*) FROM {table}")
        return found


def test_a_rollback_leaves_no_job_no_event_no_row(empty_database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        async def change() -> None:
            async with store.transaction() as records:
                await records.users.add(a_user(), "hash")
                await records.events.record(Event(code="user.created", address="203.0.113.7"))
                await records.jobs.enqueue(Job(id=new_id(), kind="mail.verify", detail={"user_id": "x"}))
                raise Changed

        with pytest.raises(Changed):
            await change()
        for table in ("users", "identifiers", "credentials", "events", "pgqueuer", "day_keys"):
            assert await number_of(store, table) == 0, table

    within(empty_database_url, work)


def test_an_enqueued_job_is_one_however_often_it_is_enqueued(empty_database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        job = Job(id=new_id(), kind="mail.verify", detail={"user_id": "x"})
        for _ in range(2):
            async with store.transaction() as records:
                await records.jobs.enqueue(job)
        async with store.transaction() as records:
            await records.jobs.enqueue(Job(id=new_id(), kind="mail.reset"), delay_seconds=3600)
        backlog = {row.kind: row for row in await store.backlog()}
        assert backlog["mail.verify"].waiting == 1
        assert backlog["mail.verify"].oldest_seconds >= 0
        assert (backlog["mail.reset"].waiting, backlog["mail.reset"].oldest_seconds) == (1, 0)
        assert backlog["mail.reset"].parked == 0

    within(empty_database_url, work)


def test_no_free_connection_is_503_after_the_deadline(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        began = time.monotonic()
        async with store.reading():
            with pytest.raises(Unavailable):
                await store.epoch()
        assert 0.2 < time.monotonic() - began < 1
        assert await store.epoch() == 1

    within(database_url, work, pool_size=1, acquire_seconds=0.25)


def test_a_statement_too_long_is_503(database_url: str) -> None:
    async def sleep(store: PostgresStore) -> None:
        async with store.within(transaction=True) as handed:
            await handed.connection.execute("SELECT pg_sleep(5)")

    async def work(store: PostgresStore) -> None:
        with pytest.raises(Unavailable):
            await sleep(store)
        assert await store.ready()

    within(database_url, work, statement_seconds=0.2)


@pytest.mark.parametrize("trouble", [OSError, TimeoutError])
def test_a_defect_stays_a_defect_and_the_connection_good(database_url: str, trouble: type[OSError]) -> None:
    async def work(store: PostgresStore) -> None:
        user = a_user()

        async def mistake() -> None:
            async with store.transaction() as records:
                await records.users.add(user, None)
                raise trouble("the caller's own")

        with pytest.raises(trouble, match="own"):
            await mistake()
        async with store.reading() as records:
            assert await records.users.by_id(user.id) is None
        assert store._pool.losses == 0

    within(database_url, work, pool_size=1)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_the_pool_outlives_a_restart_of_the_server(how: str, engine_base: Path) -> None:
    base = engine_base / how
    base.mkdir()
    base.chmod(0o711)
    server = new_server(base)
    server.start()
    asyncio.run(migrate.upgrade(server.url()))

    async def interrupted(store: PostgresStore, user: User) -> None:
        async with store.transaction() as records:
            await records.users.set_name(user.id, "lost")
            getattr(server, how)()
            await records.users.set_name(user.id, "lost too")

    async def work(store: PostgresStore) -> None:
        user = a_user()
        async with store.transaction() as records:
            await records.users.add(user, None)
        await asyncio.gather(*(store.ready() for _ in range(8)))  # every connection of the pool is open
        with pytest.raises(Unavailable):
            await interrupted(store, user)
        began = time.monotonic()
        assert not await store.ready()
        with pytest.raises(Unavailable):
            await store.rotations.rotate(new_id(), 1, "x", key_id="testkey1", idle_seconds=60)
        assert time.monotonic() - began < 3
        server.start()
        answers = await asyncio.gather(*(store.ready() for _ in range(8)))
        assert all(answers)
        async with store.transaction() as records:
            kept = await records.users.by_id(user.id)
            assert kept is not None
            assert kept.name == "Ada"

    try:
        within(server.url(), work)
    finally:
        server.stop()
