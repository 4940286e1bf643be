"""RFC 9126 §4: a pushed request is taken once, by the client that pushed it."""

from __future__ import annotations

from bartizan.database.rows import marks, names, read, values
from bartizan.database.within import Within
from bartizan.model.codes import Pushed

_COLUMNS = names(Pushed)


class PostgresPushedRequests:
    def __init__(self, within: Within) -> None:
        self._connection = within.connection

    async def add(self, fingerprint: bytes, pushed: Pushed) -> None:
        await self._connection.execute(
            f"INSERT INTO pushed (fingerprint, {_COLUMNS}) VALUES ($1, {marks(Pushed, after=1)})",
            fingerprint,
            *values(pushed),
        )

    async def take(self, fingerprint: bytes, client_id: str) -> Pushed | None:
        """A late one goes as well, and is not given. Another client's try takes nothing."""
        row = await self._connection.fetchrow(
            f"""
            DELETE FROM pushed WHERE fingerprint = $1 AND client_id = $2
            RETURNING {_COLUMNS}, expires_at > now() AS living
            """,
            fingerprint,
            client_id,
        )
        return read(Pushed, row) if row is not None and row["living"] else None
