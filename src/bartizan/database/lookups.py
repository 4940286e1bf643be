"""Hot reads, coalesced (model/lookups.py): who waits while a statement runs shares the next one.

A statement that somebody shares begins after they asked, so nobody reads what is older than their question. Clients
alone are held (`known_clients.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from bartizan.database.clients import COLUMNS as CLIENT
from bartizan.database.coalesce import Coalescer
from bartizan.database.ended import ENDED
from bartizan.database.known_clients import KnownClients, Seen
from bartizan.database.rows import read
from bartizan.database.sessions import COLUMNS as SESSION
from bartizan.database.sessions import LIVING
from bartizan.database.users import SELECT as USER
from bartizan.database.within import Opens
from bartizan.model.clients import Client
from bartizan.model.lookups import Standing
from bartizan.model.sessions import Session
from bartizan.model.users import User

_NO_ONE = UUID(int=0)
# All of one snapshot: what of these is there, and the marks of who changed any (migration 0005), in each row.
_CLIENTS = f"""
    SELECT changes.marks, {CLIENT}
    FROM (SELECT coalesce(string_agg(mark::text, ' ' ORDER BY mark), '') AS marks FROM client_changes) AS changes
    LEFT JOIN clients ON id = ANY ($1)
"""
_USERS = f"{USER} WHERE users.id = ANY ($1)"
_SESSIONS = f"""
    SELECT fingerprint, {SESSION}, last_seen_at < now() - interval '1 minute' AS stale
    FROM sessions WHERE fingerprint = ANY ($1) AND {LIVING}
"""
# One that somebody holds is noted the next time: a read waits for nobody.
_SEEN = """
    WITH free AS MATERIALIZED (
        SELECT id FROM sessions WHERE id = ANY ($1) AND ended_at IS NULL ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE sessions SET last_seen_at = now() FROM free WHERE sessions.id = free.id
"""


class PostgresLookups:
    def __init__(self, within: Opens) -> None:
        self._within = within
        self._clients = KnownClients(self._see_clients)
        self._standings: Coalescer[tuple[UUID, UUID | None], Standing] = Coalescer(self._read_standings)
        self._signed_in: Coalescer[bytes, tuple[Session, User] | None] = Coalescer(self._read_sessions)

    async def client(self, client_id: str) -> Client | None:
        return await self._clients.by_id(client_id)

    async def close(self) -> None:
        await self._clients.close()

    async def standing(self, gid: UUID, user_id: UUID | None) -> Standing:
        return await self._standings.ask((gid, user_id))

    async def signed_in(self, fingerprint: bytes) -> tuple[Session, User] | None:
        return await self._signed_in.ask(fingerprint)

    async def _see_clients(self, ids: Sequence[str]) -> Seen:
        async with self._within(transaction=False) as handed:
            rows = await handed.connection.fetch(_CLIENTS, ids)
        found = {row["id"]: read(Client, row) for row in rows if row["id"] is not None}
        return Seen(str(rows[0]["marks"]), found)

    async def _read_standings(self, asked: Sequence[tuple[UUID, UUID | None]]) -> list[Standing]:
        """The list of the ended is read last: what ends in between is told."""
        people = {user_id for _, user_id in asked if user_id is not None}
        async with self._within(transaction=False) as handed:
            rows = await handed.connection.fetch(_USERS, [*people]) if people else []
            ended = await handed.connection.fetch(ENDED, [*{gid for gid, _ in asked}])
        found = {row["id"]: read(User, row) for row in rows}
        gone = {row["gid"] for row in ended}
        return [Standing(gid in gone, found.get(user_id or _NO_ONE)) for gid, user_id in asked]

    async def _read_sessions(self, fingerprints: Sequence[bytes]) -> list[tuple[Session, User] | None]:
        async with self._within(transaction=False) as handed:
            idle = handed.settings.session_idle_seconds
            rows = await handed.connection.fetch(_SESSIONS, [*set(fingerprints)], idle)
            stale = sorted(row["id"] for row in rows if row["stale"])
            if stale:
                await handed.connection.execute(_SEEN, stale)
            people = await handed.connection.fetch(_USERS, [*{row["user_id"] for row in rows}]) if rows else []
        users = {user.id: user for user in (read(User, row) for row in people) if not user.disabled}
        sessions = {row["fingerprint"]: read(Session, row) for row in rows}
        answers: list[tuple[Session, User] | None] = []
        for fingerprint in fingerprints:
            session = sessions.get(fingerprint)
            whose = None if session is None else users.get(session.user_id)
            answers.append(None if session is None or whose is None else (session, whose))
        return answers
