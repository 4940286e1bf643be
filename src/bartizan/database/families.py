"""Refresh families (design §5): one row each. Rotation has a room of its own, `rotations.py`."""

from __future__ import annotations

from uuid import UUID

from bartizan.database import ending
from bartizan.database.rows import names, read, read_or_none
from bartizan.database.within import Within
from bartizan.model.families import Family, NewFamily

COLUMNS = names(Family)
_GIVEN = names(NewFamily).removesuffix(", idle_seconds, absolute_seconds")
_ASKED = ", ".join(f"asked.{name}" for name in _GIVEN.split(", "))


def beginning(asked: str) -> str:
    """A statement, or its end: begins the families of `asked`, which has the columns of NewFamily. Each lives no longer
    than the consent that it comes from."""
    return f"""
    INSERT INTO families ({_GIVEN}, generation, created_at, rotated_at, idle_until, absolute_until)
    SELECT {_ASKED}, 1, now(), now(), least(now() + make_interval(secs => asked.idle_seconds), until),
        least(now() + make_interval(secs => asked.absolute_seconds), until)
    FROM {asked} LEFT JOIN consents ON consents.user_id = asked.user_id AND consents.client_id = asked.client_id
    """


LIVING = "ended_at IS NULL AND idle_until > now() AND absolute_until > now()"


class PostgresFamilies:
    def __init__(self, within: Within) -> None:
        self._within = within
        self._connection = within.connection

    async def by_id(self, family_id: UUID) -> Family | None:
        row = await self._connection.fetchrow(f"SELECT {COLUMNS} FROM families WHERE id = $1 AND {LIVING}", family_id)
        return read_or_none(Family, row)

    async def end(self, family_id: UUID, reason: str) -> bool:
        return bool(await ending.end_families(self._within, ending.FAMILY, reason, family_id))

    async def of_user(self, user_id: UUID) -> list[Family]:
        rows = await self._connection.fetch(
            f"SELECT {COLUMNS} FROM families WHERE user_id = $1 AND {LIVING} ORDER BY created_at DESC", user_id
        )
        return [read(Family, row) for row in rows]
