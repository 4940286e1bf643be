"""Design §6 "Cache loss": sign-in tries are counted here while the cache is away. One statement, fixed windows."""

from __future__ import annotations

from bartizan.database.within import Within


class PostgresAttempts:
    def __init__(self, within: Within) -> None:
        self._connection = within.connection

    async def hit(self, key: bytes, *, seconds: int) -> int:
        count = await self._connection.fetchval(
            """
            INSERT INTO attempts (key, count, until) VALUES ($1, 1, now() + make_interval(secs => $2))
            ON CONFLICT (key) DO UPDATE SET
                count = CASE WHEN attempts.until > now() THEN attempts.count + 1 ELSE 1 END,
                until = CASE WHEN attempts.until > now() THEN attempts.until ELSE excluded.until END
            RETURNING count
            """,
            key,
            seconds,
        )
        return int(count)
