"""OAuth clients. The file owns the rows it names, the console the others; what goes takes its access along."""

from __future__ import annotations

from bartizan.database import ending
from bartizan.database.rows import marks, names, read, read_or_none, values
from bartizan.database.within import Within
from bartizan.model.clients import Client

COLUMNS = names(Client)
_KEPT = {"id", "created_at"}
_REPLACED = ", ".join(f"{name} = excluded.{name}" for name in Client.__struct_fields__ if name not in _KEPT)
_REPLACE = f"INSERT INTO clients ({COLUMNS}) VALUES ({marks(Client)}) ON CONFLICT (id) DO UPDATE SET {_REPLACED}"


class PostgresClients:
    def __init__(self, within: Within) -> None:
        self._within = within
        self._connection = within.connection

    async def add(self, client: Client) -> bool:
        added = await self._connection.fetchval(
            f"INSERT INTO clients ({COLUMNS}) VALUES ({marks(Client)}) ON CONFLICT (id) DO NOTHING RETURNING true",
            *values(client),
        )
        return added is not None

    async def by_id(self, client_id: str) -> Client | None:
        row = await self._connection.fetchrow(f"SELECT {COLUMNS} FROM clients WHERE id = $1", client_id)
        return read_or_none(Client, row)

    async def all(self) -> list[Client]:
        rows = await self._connection.fetch(f"SELECT {COLUMNS} FROM clients ORDER BY id")
        return [read(Client, row) for row in rows]

    async def origins(self) -> set[str]:
        rows = await self._connection.fetch(
            "SELECT DISTINCT unnest(origins) AS origin FROM clients WHERE NOT disabled AND origins <> '{}'"
        )
        return {row["origin"] for row in rows}

    async def replace_file_owned(self, clients: tuple[Client, ...]) -> None:
        """A client of the console that the file now names becomes the file's."""
        async with self._connection.transaction():
            gone = await self._connection.fetch(
                "SELECT id FROM clients WHERE owner = 'file' AND NOT id = ANY ($1) ORDER BY id FOR UPDATE",
                [client.id for client in clients],
            )
            for row in gone:
                await self.delete(row["id"])
            for client in sorted(clients, key=lambda client: client.id):
                await self._connection.execute(_REPLACE, *values(client))

    async def set_disabled(self, client_id: str, disabled: bool) -> bool:
        async with self._connection.transaction():
            changed = await self._connection.fetchval(
                "UPDATE clients SET disabled = $2 WHERE id = $1 AND disabled <> $2 RETURNING true", client_id, disabled
            )
            if disabled:
                await self._forget_codes(client_id)
                await ending.end_many_families(self._within, ending.OF_CLIENT, "client.disabled", client_id)
        return changed is not None

    async def delete(self, client_id: str) -> bool:
        async with self._connection.transaction():
            # Consents first, as whoever makes a code by one holds that first (redemptions.py).
            await self._connection.execute("DELETE FROM consents WHERE client_id = $1", client_id)
            await self._forget_codes(client_id)
            await ending.end_many_families(self._within, ending.OF_CLIENT, "client.deleted", client_id)
            for statement in (
                "DELETE FROM codes WHERE client_id = $1",
                "DELETE FROM pushed WHERE client_id = $1",
                "DELETE FROM interactions WHERE client_id = $1",
            ):
                await self._connection.execute(statement, client_id)
            return await self._connection.execute("DELETE FROM clients WHERE id = $1", client_id) == "DELETE 1"

    async def _forget_codes(self, client_id: str) -> None:
        """Before its families end: one that is being redeemed is waited for, and what it bought ends with the rest."""
        await self._connection.execute("DELETE FROM codes WHERE client_id = $1 AND spent_at IS NULL", client_id)
