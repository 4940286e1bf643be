"""What monitoring learns from a real PostgreSQL and a real Valkey."""

from __future__ import annotations

import asyncio

import pytest
from tests.fixtures.valkey import ValkeyServer

from bartizan.monitoring import sources
from bartizan.monitoring.sources import Database

pytestmark = pytest.mark.engine


def test_postgresql_tells_its_figures(database_url: str) -> None:
    async def walk() -> None:
        database = Database(database_url)
        try:
            report = await database.report()
            assert report is not None
            assert report.version.startswith("18")
            assert report.connections >= 1
            assert report.size > 1_000_000
            await database.close()
            assert await database.report() is not None
        finally:
            await database.close()

    asyncio.run(walk())


def test_valkey_tells_its_figures(valkey: ValkeyServer) -> None:
    report = asyncio.run(sources.cache(valkey.url))
    assert report is not None
    assert report.memory > 0
    assert report.limit > 0
    assert report.version
