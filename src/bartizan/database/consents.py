"""What people allowed. Ending a consent ends the families that live by it, in the same transaction (flows §6)."""

from __future__ import annotations

from uuid import UUID

from bartizan.database import ending
from bartizan.database.rows import marks, names, read, read_or_none, values
from bartizan.database.within import Within
from bartizan.model.clients import Consent

_COLUMNS = names(Consent)

# Used last: by its newest rotation, which writes no row but its own.
_SELECT = """
    SELECT id, user_id, client_id, scopes, granted_at, until, greatest(last_used_at, (
        SELECT max(rotated_at) FROM families
        WHERE families.user_id = consents.user_id AND families.client_id = consents.client_id
    )) AS last_used_at
    FROM consents
"""


class PostgresConsents:
    def __init__(self, within: Within) -> None:
        self._within = within
        self._connection = within.connection

    async def grant(self, consent: Consent) -> None:
        """A consent with an end shortens what lives by it, so that a rotation need not look here."""
        async with self._connection.transaction():
            await self._connection.execute(
                f"""
                INSERT INTO consents ({_COLUMNS}) VALUES ({marks(Consent)})
                ON CONFLICT (user_id, client_id) DO UPDATE SET
                    id = excluded.id, scopes = excluded.scopes, granted_at = excluded.granted_at,
                    until = excluded.until, last_used_at = coalesce(excluded.last_used_at, consents.last_used_at)
                """,
                *values(consent),
            )
            if consent.until is not None:
                await self._connection.execute(
                    """
                    UPDATE families SET absolute_until = least(absolute_until, $3), idle_until = least(idle_until, $3)
                    WHERE user_id = $1 AND client_id = $2 AND ended_at IS NULL AND absolute_until > $3
                    """,
                    consent.user_id,
                    consent.client_id,
                    consent.until,
                )

    async def of(self, user_id: UUID, client_id: str) -> Consent | None:
        row = await self._connection.fetchrow(
            f"""
            {_SELECT}
            WHERE user_id = $1 AND client_id = $2 AND (until IS NULL OR until > now())
            """,
            user_id,
            client_id,
        )
        return read_or_none(Consent, row)

    async def hold(self, user_id: UUID, client_id: str) -> bool:
        held = await self._connection.fetchval(
            """
            SELECT true FROM consents
            WHERE user_id = $1 AND client_id = $2 AND (until IS NULL OR until > now()) FOR UPDATE
            """,
            user_id,
            client_id,
        )
        return held is not None

    async def of_user(self, user_id: UUID) -> list[Consent]:
        rows = await self._connection.fetch(
            f"""
            {_SELECT} WHERE user_id = $1 AND (until IS NULL OR until > now())
            ORDER BY granted_at DESC
            """,
            user_id,
        )
        return [read(Consent, row) for row in rows]

    async def withdraw(self, user_id: UUID, client_id: str) -> list[UUID]:
        async with self._connection.transaction():
            await self._connection.execute(
                "DELETE FROM consents WHERE user_id = $1 AND client_id = $2", user_id, client_id
            )
            # A code issued under it must not buy anything any more.
            await self._connection.execute(
                "DELETE FROM codes WHERE user_id = $1 AND client_id = $2 AND spent_at IS NULL", user_id, client_id
            )
            return await ending.end_families(
                self._within, ending.OF_USER_AT_CLIENT, "consent.withdrawn", user_id, client_id
            )
