"""Migrations: safe when two run at once, and a second time."""

from __future__ import annotations

import asyncio

from tests.fixtures.postgres import PostgresServer

from bartizan.database import migrate


def test_two_migrations_at_once_leave_one_schema(postgres: PostgresServer) -> None:
    url = postgres.new_database()

    async def run() -> list[str]:
        return list(await asyncio.gather(*(migrate.upgrade(url) for _ in range(3))))

    assert asyncio.run(migrate.current(url)) is None
    assert asyncio.run(run()) == [migrate.newest()] * 3
    assert asyncio.run(migrate.current(url)) == migrate.newest()
    assert asyncio.run(migrate.upgrade(url)) == migrate.newest()
