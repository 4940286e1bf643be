"""Design §3: migrations. Alembic and SQLAlchemy are imported here alone.

One transaction under an advisory lock: two `migrate` at once are safe, and a kill in the middle leaves the old schema.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

T = TypeVar("T")

_LOCK = 0x62617274  # "bart"


async def upgrade(url: str) -> str:
    """To the newest schema; gives its revision."""

    def run(connection: Connection) -> str:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        return _revision(connection) or ""

    return await _within(url, run)


async def current(url: str) -> str | None:
    """The revision that the database is at; None when it is empty."""
    return await _within(url, _revision)


def newest() -> str:
    """The revision that this release wants."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config


async def _within(url: str, run: Callable[[Connection], T]) -> T:
    address = make_url(url).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(address, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(run)
    finally:
        await engine.dispose()
