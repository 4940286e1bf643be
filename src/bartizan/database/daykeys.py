"""Design §4: the key of the day, under which an event's address is hashed, and whose destruction unlinks it.

Sealed under the key ring, so a stolen dump cannot try all addresses. Made on first need, and ahead by a job.
"""

from __future__ import annotations

from datetime import date

from bartizan.database.connection import Chance, Connection
from bartizan.protocol.secrets import KEY_BYTES, NONCE_BYTES, KeyRing, seal, unseal


class DayKeys:
    """A process's view of them: at most the last few days are remembered."""

    def __init__(self, ring: KeyRing, chance: Chance) -> None:
        self._ring = ring.purpose("days")
        self._chance = chance
        self._known: dict[date, bytes] = {}

    async def of(self, connection: Connection, day: date) -> bytes:
        """The key of `day`. One that this transaction has to make is not remembered: it may yet roll back."""
        known = self._known.get(day)
        if known is not None:
            return known
        row = await connection.fetchrow(
            """
            SELECT sealed, xmin::text IS NOT DISTINCT FROM (pg_current_xact_id_if_assigned()::xid)::text AS mine
            FROM day_keys WHERE day = $1
            """,
            day,
        )
        if row is None:
            await self.make(connection, day)
            row = await connection.fetchrow("SELECT sealed, true AS mine FROM day_keys WHERE day = $1", day)
        assert row is not None, "made or found"
        key = unseal(self._ring, row["sealed"], _context(day))
        if key is None:
            # The ring lost the key that sealed it: addresses of the day before the loss can no longer be compared.
            return await self._replace(connection, day)
        if not row["mine"]:
            self._known = {kept: value for kept, value in self._known.items() if (day - kept).days < 3}
            self._known[day] = key
        return key

    async def make(self, connection: Connection, day: date) -> None:
        """Unless it is there."""
        await connection.execute(
            "INSERT INTO day_keys (day, sealed) VALUES ($1, $2) ON CONFLICT (day) DO NOTHING", day, self._new(day)[1]
        )

    def forget(self) -> None:
        """After a purge: a destroyed key must not live on in memory."""
        self._known.clear()

    async def _replace(self, connection: Connection, day: date) -> bytes:
        key, sealed = self._new(day)
        await connection.execute("UPDATE day_keys SET sealed = $2 WHERE day = $1", day, sealed)
        return key

    def _new(self, day: date) -> tuple[bytes, bytes]:
        key = self._chance(KEY_BYTES)
        return key, seal(self._ring, key, _context(day), self._chance(NONCE_BYTES))


def _context(day: date) -> bytes:
    return b"key of the day " + day.isoformat().encode()
