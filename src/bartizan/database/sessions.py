"""Sign-on sessions: living until ended, idle, or over. Ending one ends the families that hang on it (flows §7)."""

from __future__ import annotations

from uuid import UUID

from bartizan.database.ending import end_sessions
from bartizan.database.events import PostgresEvents, recording
from bartizan.database.rows import as_json, marks, names, read, read_or_none, values
from bartizan.database.users import HOLD_PASSWORD
from bartizan.database.within import Within
from bartizan.model.event import Event
from bartizan.model.sessions import Session

COLUMNS = names(Session)
LIVING = """
    ended_at IS NULL AND expires_at > now() AND last_seen_at > now() - make_interval(secs => $2)
    AND NOT EXISTS (SELECT FROM users WHERE users.id = user_id AND disabled)
"""

_BEGIN = f"""
    WITH held AS MATERIALIZED ({HOLD_PASSWORD}), begun AS (
        INSERT INTO sessions (fingerprint, {COLUMNS})
        SELECT $3, {names(Session, prefix="given.")} FROM json_populate_recordset(NULL::sessions, $4) AS given, held
    )
    {recording("$5", "WHERE EXISTS (SELECT FROM held)")}
"""


class PostgresSessions:
    def __init__(self, within: Within) -> None:
        self._within = within
        self._connection = within.connection
        self._idle = within.settings.session_idle_seconds

    async def add(self, session: Session, fingerprint: bytes) -> None:
        await self._connection.execute(
            f"INSERT INTO sessions (fingerprint, {COLUMNS}) VALUES ($1, {marks(Session, after=1)})",
            fingerprint,
            *values(session),
        )

    async def begin(self, session: Session, fingerprint: bytes, password_hash: str, event: Event) -> bool:
        noted = await PostgresEvents(self._within).ready([event])
        # failpoint: session.beginning
        done = await self._connection.execute(
            _BEGIN, session.user_id, password_hash, fingerprint, as_json([session]), noted
        )
        # failpoint: session.begun
        return done == "INSERT 0 1"

    async def by_fingerprint(self, fingerprint: bytes) -> Session | None:
        row = await self._connection.fetchrow(
            f"""SELECT {COLUMNS}, last_seen_at < now() - interval '1 minute' AS stale
            FROM sessions WHERE fingerprint = $1 AND {LIVING}""",
            fingerprint,
            self._idle,
        )
        if row is not None and row["stale"]:
            await self._connection.execute(
                "UPDATE sessions SET last_seen_at = now() WHERE id = $1 AND ended_at IS NULL", row["id"]
            )
        return read_or_none(Session, row)

    async def reauthenticated(self, session_id: UUID, fingerprint: bytes) -> None:
        await self._connection.execute(
            """
            UPDATE sessions SET fingerprint = $2, auth_time = now(), last_seen_at = now()
            WHERE id = $1 AND ended_at IS NULL
            """,
            session_id,
            fingerprint,
        )

    async def of_user(self, user_id: UUID) -> list[Session]:
        """Also one whose sign-on is over while apps still live by it: the person must be able to end it."""
        rows = await self._connection.fetch(
            f"""
            SELECT {COLUMNS} FROM sessions
            WHERE user_id = $1 AND ended_at IS NULL AND (
                expires_at > now() AND last_seen_at > now() - make_interval(secs => $2)
                OR EXISTS (
                    SELECT FROM families WHERE families.session_id = sessions.id AND families.ended_at IS NULL
                    AND idle_until > now() AND absolute_until > now()
                )
            )
            ORDER BY last_seen_at DESC
            """,
            user_id,
            self._idle,
        )
        return [read(Session, row) for row in rows]

    async def hold(self, session_id: UUID) -> bool:
        held = await self._connection.fetchval(
            "SELECT true FROM sessions WHERE id = $1 AND ended_at IS NULL FOR NO KEY UPDATE", session_id
        )
        return held is not None

    async def end(self, session_id: UUID, reason: str) -> list[UUID]:
        async with self._connection.transaction():
            return await end_sessions(self._within, [session_id], reason)

    async def end_all_of(self, user_id: UUID, reason: str, *, but: UUID | None = None) -> list[UUID]:
        async with self._connection.transaction():
            rows = await self._connection.fetch(
                """
                SELECT id FROM sessions WHERE user_id = $1 AND ended_at IS NULL AND id IS DISTINCT FROM $2 ORDER BY id
                """,
                user_id,
                but,
            )
            return await end_sessions(self._within, [row["id"] for row in rows], reason)
