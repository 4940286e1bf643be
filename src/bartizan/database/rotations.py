"""Flows §6: rotation is one HOT update; a miss is read again under the row's lock and judged by one table.

It owns its transactions, and answers after their commit: theft that could not be committed is 503, not an answer.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol
from uuid import UUID

import msgspec

from bartizan.database.connection import Within
from bartizan.database.ending import FAMILY, end_families, end_sessions
from bartizan.database.events import PostgresEvents
from bartizan.database.families import COLUMNS, LIVING
from bartizan.database.jobs_port import PostgresJobs
from bartizan.database.presented import Standing, Verdict, judge
from bartizan.database.rows import read
from bartizan.model.event import Event
from bartizan.model.families import Family, Outcome, Rotation
from bartizan.model.job import Job
from bartizan.protocol.refusal import Unavailable
from bartizan.protocol.secrets import uuid7

_ROTATE = f"""
    UPDATE families SET
        generation = generation + 1, key_id = $4, rotated_at = now(),
        idle_until = least(now() + make_interval(secs => $5), absolute_until),
        graced_run = CASE WHEN graced THEN graced_run ELSE 0 END, graced = false
    WHERE id = $1 AND generation = $2 AND client_id = $3 AND {LIVING}
    RETURNING {COLUMNS}, now() AS now
"""

# clock_timestamp(): the lock may have been waited for, and the grace runs from the commit that was waited for.
_READ_AGAIN = f"""
    SELECT {COLUMNS}, graced, graced_run, late_gen, late_count, late_since, {LIVING} AS living,
           clock_timestamp() AS now
    FROM families WHERE id = $1 FOR NO KEY UPDATE
"""

_EVENT = {
    Outcome.THEFT: "refresh.theft",
    Outcome.CONTENDED: "refresh.contended",
    Outcome.AHEAD: "database.went_back",
}


class Opens(Protocol):
    def __call__(self, *, transaction: bool) -> AbstractAsyncContextManager[Within]: ...


class PostgresRotations:
    def __init__(self, within: Opens) -> None:
        self._within = within

    async def rotate(
        self, family_id: UUID, generation: int, client_id: str, *, key_id: str, idle_seconds: int
    ) -> Rotation:
        for _ in range(3):
            async with self._within(transaction=False) as handed:
                row = await handed.connection.fetchrow(_ROTATE, family_id, generation, client_id, key_id, idle_seconds)
            if row is not None:
                return Rotation(outcome=Outcome.ROTATED, family=read(Family, row), now=row["now"])
            async with self._within(transaction=True) as handed:
                answer = await _missed(handed, family_id, generation, client_id)
            if answer is not None:
                return answer
        raise Unavailable("database", 1)  # it would have rotated and was beaten to it thrice


async def _missed(within: Within, family_id: UUID, generation: int, client_id: str) -> Rotation | None:
    row = await within.connection.fetchrow(_READ_AGAIN, family_id)
    if row is None:
        return Rotation(outcome=Outcome.UNKNOWN, family=None, now=await within.connection.fetchval("SELECT now()"))
    verdict = judge(msgspec.convert(dict(row), Standing), generation, client_id, row["now"])
    if verdict.outcome is None:
        return None
    family = read(Family, row)
    if verdict.changes:
        await _write(within, family_id, verdict.changes)
    if verdict.outcome in _EVENT:
        await _end(within, family, verdict, generation)
    told = None if verdict.outcome is Outcome.UNKNOWN else family
    return Rotation(outcome=verdict.outcome, family=told, now=row["now"])


async def _write(within: Within, family_id: UUID, changes: dict[str, object]) -> None:
    """The names come from `judge`'s own text."""
    assignments = ", ".join(f"{name} = ${number}" for number, name in enumerate(changes, 2))
    await within.connection.execute(f"UPDATE families SET {assignments} WHERE id = $1", family_id, *changes.values())


async def _end(within: Within, family: Family, verdict: Verdict, generation: int) -> None:
    """Family, access, event, and for theft the mail and the BFF's session: one transaction."""
    assert verdict.outcome is not None, "only what ends comes here"
    code = _EVENT[verdict.outcome]
    await end_families(within, FAMILY, code, family.id)
    theft = verdict.outcome is Outcome.THEFT
    if theft and family.bff and family.session_id is not None:
        await end_sessions(within, [family.session_id], code)
    detail = {"presented": str(generation), "row": str(family.generation)}
    if verdict.cause:
        detail["cause"] = verdict.cause
    await PostgresEvents(within).record(
        Event(
            code=code,
            user_id=family.user_id,
            client_id=family.client_id,
            session_id=family.session_id,
            gid=family.id,
            detail=detail,
        )
    )
    if theft:
        await _mail(within, family)


async def _mail(within: Within, family: Family) -> None:
    """What the mail tells of the session is handed along, as that may have ended just now."""
    row = await within.connection.fetchrow(
        "SELECT now() AS at, device, network FROM (SELECT) AS one LEFT JOIN sessions ON sessions.id = $1",
        family.session_id,
    )
    assert row is not None, "a left join keeps its left row"
    at = row["at"]
    job = Job(
        id=uuid7(int(at.timestamp() * 1000), within.chance(10)),
        kind="mail.theft",
        detail={
            "user_id": str(family.user_id),
            "client_id": family.client_id,
            "session_id": str(family.session_id or ""),
            "gid": str(family.id),
            "at": at.isoformat(timespec="seconds"),
            "device": row["device"] or "",
            "network": row["network"] or "",
        },
    )
    await PostgresJobs(within).enqueue(job)
