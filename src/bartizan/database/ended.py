"""The list of the ended (flows §7). The cursor is the database's second: readers overlap by 60 s."""

from __future__ import annotations

from uuid import UUID

from bartizan.database.ending import list_ended
from bartizan.database.within import Within
from bartizan.model.ended import EndedPage

# A transaction that began earlier may commit later than one already read; none lives longer than this.
OVERLAP_SECONDS = 60


class PostgresEnded:
    def __init__(self, within: Within) -> None:
        self._within = within

    async def add(self, gid: UUID) -> None:
        await list_ended(self._within, [gid])

    async def contains(self, gid: UUID) -> bool:
        found = await self._within.connection.fetchval(
            "SELECT true FROM ended WHERE gid = $1 AND until > clock_timestamp()", gid
        )
        return found is not None

    async def after(self, cursor: int) -> EndedPage:
        row = await self._within.connection.fetchrow(
            """
            SELECT extract(epoch FROM now())::bigint AS now, coalesce(array_agg(gid ORDER BY at, gid), '{}') AS gids
            FROM ended
            WHERE until > now() AND at >= to_timestamp($1::bigint - $2::int)
            """,
            cursor,
            OVERLAP_SECONDS,
        )
        assert row is not None, "an aggregate gives a row"
        return EndedPage(gids=tuple(str(gid) for gid in row["gids"]), cursor=row["now"], now=row["now"])
