"""Flows §5: one-time links. The secret in the mail is derived, so the row holds none."""

from __future__ import annotations

from uuid import UUID

from bartizan.database.rows import marks, names, read_or_none, values
from bartizan.database.within import Within
from bartizan.model.codes import Link

_COLUMNS = names(Link)
_LIVING = "id = $1 AND kind = $2 AND used_at IS NULL AND expires_at > now()"


class PostgresLinks:
    def __init__(self, within: Within) -> None:
        self._connection = within.connection

    async def add(self, link: Link) -> None:
        await self._connection.execute(f"INSERT INTO links ({_COLUMNS}) VALUES ({marks(Link)})", *values(link))

    async def peek(self, link_id: UUID, kind: str) -> Link | None:
        row = await self._connection.fetchrow(f"SELECT {_COLUMNS} FROM links WHERE {_LIVING}", link_id, kind)
        return read_or_none(Link, row)

    async def use(self, link_id: UUID, kind: str) -> Link | None:
        row = await self._connection.fetchrow(
            f"UPDATE links SET used_at = now() WHERE {_LIVING} RETURNING {_COLUMNS}", link_id, kind
        )
        return read_or_none(Link, row)
