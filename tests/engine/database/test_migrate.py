"""Migrations: safe when two run at once, and a second time."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from pgqueuer.adapters.persistence.qb import QueryQueueBuilder
from pgqueuer.queries import Queries
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.records import within

from bartizan.database import migrate
from bartizan.database.store import PostgresStore

pytestmark = pytest.mark.engine


def test_two_migrations_at_once_leave_one_schema(postgres: PostgresServer) -> None:
    url = postgres.new_database()

    async def run() -> list[str]:
        return list(await asyncio.gather(*(migrate.upgrade(url) for _ in range(3))))

    assert asyncio.run(migrate.current(url)) is None
    assert asyncio.run(run()) == [migrate.newest()] * 3
    assert asyncio.run(migrate.current(url)) == migrate.newest()
    assert asyncio.run(migrate.upgrade(url)) == migrate.newest()


def test_the_kept_enqueue_statement_is_that_of_the_installed_queue(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        async with store.within(transaction=False) as handed:
            kept = await handed.connection.fetchval("SELECT prosrc FROM pg_proc WHERE proname = 'job_enqueue'")
        assert kept == QueryQueueBuilder().build_enqueue_query("skip")

    within(database_url, work)


def test_the_queues_tables_are_those_of_the_installed_queue(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        async with store.within(transaction=False) as handed:
            plan = await Queries.from_asyncpg_connection(cast(Any, handed.connection)).plan_upgrade()
        assert list(plan.statements) == []

    within(database_url, work)
