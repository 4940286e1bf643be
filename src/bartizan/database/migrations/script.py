"""Runs hand-written SQL, many statements at once, in the migration's own transaction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import op

_HERE = Path(__file__).parent / "versions"


def run_script(name: str) -> None:
    run_text((_HERE / name).read_text())


def run_text(sql: str) -> None:
    # asyncpg itself runs a script; SQLAlchemy would prepare it, which only a single statement allows.
    connection: Any = op.get_bind().connection.dbapi_connection
    # failpoint: migrate.script
    connection.run_async(lambda driver: driver.execute(sql))
    # failpoint: migrate.scripted
