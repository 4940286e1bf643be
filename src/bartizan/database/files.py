"""Files' rows: whose they are, within which quota, and who may see them (flows §10)."""

from __future__ import annotations

from uuid import UUID

from bartizan.database.families import LIVING
from bartizan.database.rows import names, read, read_or_none, values
from bartizan.database.within import Within
from bartizan.model.files import File

_COLUMNS = names(File)
_TYPES = ("uuid", "uuid", "text", "text", "bigint", "bytea", "integer", "integer", "boolean", "timestamptz")
_TYPED = ", ".join(f"${number}::{kind}" for number, kind in enumerate(_TYPES, 1))  # SELECT does not infer them
_QUOTA = len(_TYPES) + 1


class PostgresFiles:
    def __init__(self, within: Within) -> None:
        self._connection = within.connection

    async def reserve(self, file: File, *, quota: int) -> bool:
        """One row an owner holds the sum: two uploads at once wait for it, and the second sees the first."""
        added = await self._connection.fetchval(
            f"""
            WITH room AS (
                INSERT INTO file_usage (owner, used) SELECT $2::uuid, $5::bigint WHERE $5::bigint <= ${_QUOTA}
                ON CONFLICT (owner) DO UPDATE SET used = file_usage.used + excluded.used
                WHERE file_usage.used + excluded.used <= ${_QUOTA}
                RETURNING owner
            )
            INSERT INTO files ({_COLUMNS}) SELECT {_TYPED} FROM room RETURNING true
            """,
            *values(file),
            quota,
        )
        return added is not None

    async def by_id(self, file_id: UUID) -> File | None:
        row = await self._connection.fetchrow(f"SELECT {_COLUMNS} FROM files WHERE id = $1", file_id)
        return read_or_none(File, row)

    async def of_owner(self, owner: UUID, *, limit: int, before: UUID | None) -> list[File]:
        """Newest first: ids are in order of time."""
        rows = await self._connection.fetch(
            f"""
            SELECT {_COLUMNS} FROM files WHERE owner = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
            """,
            owner,
            before,
            limit,
        )
        return [read(File, row) for row in rows]

    async def used(self, owner: UUID) -> int:
        return int(await self._connection.fetchval("SELECT used FROM file_usage WHERE owner = $1", owner) or 0)

    async def set_thumbnail(self, file_id: UUID) -> None:
        await self._connection.execute("UPDATE files SET thumbnail = true WHERE id = $1", file_id)

    async def delete(self, file_id: UUID, owner: UUID) -> bool:
        gone = await self._connection.fetchval(
            """
            WITH gone AS (
                DELETE FROM files WHERE id = $1 AND owner = $2 RETURNING size
            ), given_back AS (
                UPDATE file_usage SET used = used - gone.size FROM gone WHERE file_usage.owner = $2
            )
            SELECT true FROM gone
            """,
            file_id,
            owner,
        )
        return gone is not None

    async def may_see(self, file_id: UUID, user_id: UUID, gid: UUID) -> File | None:
        """The list of the ended forgets a gid when its last access token is over, minutes after; a link holds for an
        hour or two. So the family itself is looked at as well."""
        row = await self._connection.fetchrow(
            f"""
            SELECT {_COLUMNS} FROM files
            WHERE id = $1 AND owner = $2 AND NOT EXISTS (SELECT FROM ended WHERE ended.gid = $3)
                AND EXISTS (SELECT FROM families WHERE families.id = $3 AND user_id = $2 AND {LIVING})
            """,
            file_id,
            user_id,
            gid,
        )
        return read_or_none(File, row)
