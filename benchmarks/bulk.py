"""A table filled beside its own and then put in its place: ten million rows in two minutes.

PostgreSQL makes the rows itself and takes them back by COPY in its own binary form, frozen, so that nothing is left to
vacuum; indexes are made after. Columns, indexes and storage settings are read from the table that it stands in for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from msgspec import Struct

_MEMORY = "1GB"  # for sorting the entries of an index: of these sessions alone
_WAITING = 16  # pieces between the two sessions


class Rows(Struct, frozen=True):
    """`query` gives these columns, in this order and of the table's own types."""

    columns: tuple[str, ...]
    query: str
    parameters: tuple[object, ...] = ()


async def build(reader: Any, writer: Any, table: str, name: str, rows: Rows) -> None:
    """`name` becomes as `table` is, with these rows. Two sessions, so that making rows and storing them overlap."""
    await writer.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL EXCLUDING INDEXES)")
    settings = await writer.fetchval("SELECT reloptions FROM pg_class WHERE oid = $1::text::regclass", table)
    if settings:
        await writer.execute(f"ALTER TABLE {name} SET ({', '.join(settings)})")
    await _fill(reader, writer, name, rows)
    await _index(writer, table, name)
    await writer.execute(f"ANALYZE {name}")


async def exchange(connection: Any, table: str, name: str, put_away: str) -> None:
    """At once, for everybody: `table` is now what was built as `name`, and what it was is `put_away`."""
    async with connection.transaction():
        await connection.execute(f"ALTER TABLE {table} RENAME TO {put_away}")
        await connection.execute(f"ALTER TABLE {name} RENAME TO {table}")


async def _fill(reader: Any, writer: Any, name: str, rows: Rows) -> None:
    pieces: asyncio.Queue[bytes] = asyncio.Queue(_WAITING)

    async def made() -> None:
        await reader.copy_from_query(rows.query, *rows.parameters, output=pieces.put, format="binary")
        await pieces.put(b"")

    async def stored() -> None:
        async with writer.transaction():
            await writer.execute(f"TRUNCATE {name}")  # only what is new in its transaction can be frozen
            await writer.copy_to_table(
                name, source=_until_empty(pieces), columns=list(rows.columns), format="binary", freeze=True
            )

    await _both(asyncio.create_task(made()), asyncio.create_task(stored()))


async def _both(*tasks: asyncio.Task[None]) -> None:
    """The first failure is told, and nobody goes on waiting for the other."""
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _until_empty(pieces: asyncio.Queue[bytes]) -> AsyncIterator[bytes]:
    while piece := await pieces.get():
        yield piece


async def _index(writer: Any, table: str, name: str) -> None:
    await writer.execute(f"SET maintenance_work_mem = '{_MEMORY}'")
    for row in await writer.fetch(_INDEXES, table):
        index = f"{name}_{row['name']}"
        unique = "UNIQUE" if row["unique"] else ""
        await writer.execute(f"CREATE {unique} INDEX {index} ON {name} {row['definition']}")
        if row["primary"]:
            await writer.execute(f"ALTER TABLE {name} ADD PRIMARY KEY USING INDEX {index}")
    await writer.execute("RESET maintenance_work_mem")


_INDEXES = """
    SELECT relname AS name, indisunique AS unique, indisprimary AS primary,
        substring(pg_get_indexdef(indexrelid) FROM 'USING .*') AS definition
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE indrelid = $1::text::regclass ORDER BY relname
"""
