"""Flows §5: one authorization under way in one browser. It ends once, so only one code comes of it."""

from __future__ import annotations

from uuid import UUID

from bartizan.database.rows import marks, names, read_or_none, values
from bartizan.database.within import Within
from bartizan.model.codes import Interaction

_COLUMNS = names(Interaction)
_UNDER_WAY = "NOT done AND expires_at > now()"


def finishing(which: str) -> str:
    """A statement, or a part of one: ends the interaction with the id `which`, once. Not when it is over or late."""
    return f"UPDATE interactions SET done = true WHERE id = {which} AND {_UNDER_WAY} RETURNING id"


class PostgresInteractions:
    def __init__(self, within: Within) -> None:
        self._connection = within.connection

    async def add(self, fingerprint: bytes, interaction: Interaction) -> None:
        await self._connection.execute(
            f"INSERT INTO interactions (fingerprint, {_COLUMNS}) VALUES ($1, {marks(Interaction, after=1)})",
            fingerprint,
            *values(interaction),
        )

    async def by_fingerprint(self, fingerprint: bytes) -> Interaction | None:
        """The one under way: not when it is over or late."""
        row = await self._connection.fetchrow(
            f"SELECT {_COLUMNS} FROM interactions WHERE fingerprint = $1 AND {_UNDER_WAY}",
            fingerprint,
        )
        return read_or_none(Interaction, row)

    async def set_user(self, interaction_id: UUID, user_id: UUID) -> None:
        await self._connection.execute(
            "UPDATE interactions SET user_id = $2 WHERE id = $1 AND NOT done", interaction_id, user_id
        )

    async def finish(self, interaction_id: UUID) -> bool:
        return await self._connection.fetchval(finishing("$1"), interaction_id) is not None
