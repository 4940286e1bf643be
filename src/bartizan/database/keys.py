"""Signing keys: public parts in clear, private parts sealed by `auth`. Nothing here can sign."""

from __future__ import annotations

from datetime import datetime

from bartizan.database import switching
from bartizan.database.rows import marks, names, read, values
from bartizan.database.within import Within
from bartizan.model.keys import StoredKey

_COLUMNS = names(StoredKey)


class PostgresKeys:
    def __init__(self, within: Within) -> None:
        self._connection = within.connection

    async def published(self) -> list[StoredKey]:
        rows = await self._connection.fetch(
            f"""
            SELECT {_COLUMNS} FROM signing_keys WHERE removed_at IS NULL OR removed_at > now()
            ORDER BY active_at DESC, kid
            """
        )
        return [read(StoredKey, row) for row in rows]

    async def trusted(self) -> list[StoredKey]:
        """A key that leaked is removed in the moment in which it retires (`remove`), every other one later."""
        rows = await self._connection.fetch(
            f"""
            SELECT {_COLUMNS} FROM signing_keys WHERE removed_at IS NULL OR removed_at > retired_at
            ORDER BY active_at DESC, kid
            """
        )
        return [read(StoredKey, row) for row in rows]

    async def known(self) -> list[StoredKey]:
        rows = await self._connection.fetch(f"SELECT {_COLUMNS} FROM signing_keys ORDER BY active_at DESC, kid")
        return [read(StoredKey, row) for row in rows]

    async def add(self, key: StoredKey) -> None:
        await self._connection.execute(
            f"INSERT INTO signing_keys ({_COLUMNS}) VALUES ({marks(StoredKey)})", *values(key)
        )

    async def start(self, kid: str, *, active_at: datetime) -> None:
        await self._connection.execute(
            "UPDATE signing_keys SET active_at = least(active_at, $2) WHERE kid = $1 AND retired_at IS NULL",
            kid,
            active_at,
        )

    async def retire(self, kid: str, *, remove_at: datetime) -> None:
        """`removed_at` may lie ahead: until then it is published."""
        await self._connection.execute(
            """
            UPDATE signing_keys SET retired_at = coalesce(retired_at, now()), removed_at = least(removed_at, $2)
            WHERE kid = $1
            """,
            kid,
            remove_at,
        )

    async def remove(self, kid: str) -> None:
        """The private part goes with it."""
        await self._connection.execute(
            """
            UPDATE signing_keys SET retired_at = now(), removed_at = now(), sealed = ''
            WHERE kid = $1
            """,
            kid,
        )

    async def lock_rotation(self) -> bool:
        return bool(await self._connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", switching.LOCK))
