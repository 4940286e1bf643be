"""Flows §6: rotation is one HOT update; a miss is read again under the row's lock and judged by one table.

It owns its transactions, and answers after their commit: theft that could not be committed is 503, not an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import astuple

from bartizan.database.coalesce import Coalescer
from bartizan.database.connection import Beaten, Row
from bartizan.database.ending import FAMILY, end_families, end_sessions
from bartizan.database.events import PostgresEvents
from bartizan.database.families import COLUMNS, LIVING
from bartizan.database.jobs_port import PostgresJobs
from bartizan.database.presented import GRACE, REMEMBERED, Standing, Verdict, judge
from bartizan.database.rows import names, read
from bartizan.database.turns import Turns
from bartizan.database.within import Opens, Within
from bartizan.model.event import Event
from bartizan.model.families import Family, Outcome, Rotation
from bartizan.model.job import Job
from bartizan.protocol.refusal import Unavailable
from bartizan.protocol.secrets import uuid7

_IN_BURST = f"families.rotated_at > now() - interval '{GRACE.seconds} seconds'"
# A burst is one step in the run of graced generations too: it counts once, however many of its tabs come too late, and
# a rotation within it does not begin the run anew.
_NEXT = f"""
        generation = families.generation + 1, key_id = asked.key_id, rotated_at = now(),
        rotated_before = CASE WHEN {_IN_BURST}
            THEN (families.rotated_at || families.rotated_before)[1:{REMEMBERED - 1}] END,
        idle_until = least(now() + make_interval(secs => asked.idle_seconds), absolute_until),
        graced_run = CASE WHEN graced OR {_IN_BURST} THEN graced_run ELSE 0 END, graced = graced AND {_IN_BURST}
"""
_OK = f"""
    families.id = asked.id AND families.generation = asked.generation AND families.client_id = asked.client_id
    AND {LIVING}
"""
_RETURN = names(Family, prefix="families.")

_ROTATE = f"""
    UPDATE families SET {_NEXT}
    FROM (SELECT $1::uuid AS id, $2::int AS generation, $3::text AS client_id, $4::text AS key_id,
                 $5::int AS idle_seconds) AS asked
    WHERE {_OK}
    RETURNING {_RETURN}, now() AS now
"""

# Locked in id order, those that somebody holds passed over: no deadlock, and no waiting for one among many.
_ROTATE_MANY = f"""
    WITH asked AS MATERIALIZED (
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::int[])
        AS asked (id, generation, client_id, key_id, idle_seconds)
    ), held AS MATERIALIZED (
        SELECT id FROM families WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE families SET {_NEXT}
    FROM asked JOIN held USING (id)
    WHERE {_OK}
    RETURNING {_RETURN}, now() AS now
"""

# clock_timestamp(): the lock may have been waited for, and the grace runs from the commit that was waited for.
_READ_AGAIN = f"""
    SELECT {COLUMNS}, rotated_before, graced, graced_run, late_gen, late_count, late_since, {LIVING} AS living,
           clock_timestamp() AS now
    FROM families WHERE id = $1 FOR NO KEY UPDATE
"""

_HOLD_SESSION = "SELECT FROM sessions WHERE id = $1 FOR NO KEY UPDATE"

_EVENT = {
    Outcome.THEFT: "refresh.theft",
    Outcome.CONTENDED: "refresh.contended",
    Outcome.AHEAD: "database.went_back",
}


class Asked(Struct, frozen=True):
    """One presented token, its client, MAC and proof passed."""

    family_id: UUID
    generation: int
    client_id: str
    key_id: str
    idle_seconds: int


class PostgresRotations:
    """A first try shares its statement with others; a second goes alone, as it may have been passed over."""

    def __init__(self, within: Opens) -> None:
        self._within = within
        self._shared: Coalescer[Asked, Rotation | None] = Coalescer(self._rotate_many)
        self._turns = Turns()

    async def rotate(
        self, family_id: UUID, generation: int, client_id: str, *, key_id: str, idle_seconds: int
    ) -> Rotation:
        asked = Asked(family_id, generation, client_id, key_id, idle_seconds)
        # failpoint: rotations.rotating
        rotation = await self._shared.ask(asked)
        for _ in range(3):
            if rotation is None:
                with suppress(Beaten):  # by a deadlock, or by a stricter isolation: it is judged once more
                    async with self._turns.of(family_id):
                        rotation = await self._judge(asked)
            if rotation is not None:
                return rotation
            rotation = await self._rotate(asked)
        raise Unavailable("database", 1)  # it would have rotated and was beaten to it thrice

    async def _judge(self, asked: Asked) -> Rotation | None:
        """Sessions are locked before families, whoever ends them: theft that takes a session along begins anew."""
        try:
            return await self._judge_holding(asked, None)
        except _SessionFirst as first:
            return await self._judge_holding(asked, first.session_id)

    async def _judge_holding(self, asked: Asked, session_id: UUID | None) -> Rotation | None:
        async with self._within(transaction=True) as handed:
            if session_id is not None:
                await handed.connection.execute(_HOLD_SESSION, session_id)
            rotation = await _missed(handed, asked, session_id)
            # failpoint: rotations.judged
        # failpoint: rotations.judgement_committed
        return rotation  # noqa: RET504 - the marks between are calls in a test

    async def _rotate(self, asked: Asked) -> Rotation | None:
        async with self._within(transaction=False) as handed:
            row = await handed.connection.fetchrow(_ROTATE, *astuple(asked))
            # failpoint: rotations.rotated
        return None if row is None else _rotated(row)

    async def _rotate_many(self, asked: Sequence[Asked]) -> list[Rotation | None]:
        """Each family once: its twins are passed over, and judged when it has been rotated."""
        if len(asked) == 1:
            return [await self._rotate(asked[0])]
        first = {one.family_id: one for one in reversed(asked)}
        async with self._within(transaction=False) as handed:
            columns = [list(column) for column in zip(*map(astuple, first.values()), strict=True)]
            rows = await handed.connection.fetch(_ROTATE_MANY, *columns)
            # failpoint: rotations.rotated_many
        rotated = {row["id"]: _rotated(row) for row in rows}
        return [rotated.get(one.family_id) if first[one.family_id] is one else None for one in asked]


def _rotated(row: Row) -> Rotation:
    return Rotation(outcome=Outcome.ROTATED, family=read(Family, row), now=row["now"])


class _SessionFirst(Exception):  # noqa: N818 - no error: the same once more, in the right order
    def __init__(self, session_id: UUID) -> None:
        self.session_id = session_id


async def _missed(within: Within, asked: Asked, held: UUID | None) -> Rotation | None:
    """`held`: the session that is locked already."""
    family_id, generation, client_id = asked.family_id, asked.generation, asked.client_id
    row = await within.connection.fetchrow(_READ_AGAIN, family_id)
    if row is None:
        return Rotation(outcome=Outcome.UNKNOWN, family=None, now=await within.connection.fetchval("SELECT now()"))
    verdict = judge(msgspec.convert(dict(row), Standing), generation, client_id, row["now"])
    if verdict.outcome is None:
        return None
    family = read(Family, row)
    if _takes_session(family, verdict) and family.session_id is not None and family.session_id != held:
        raise _SessionFirst(family.session_id)
    if verdict.changes:
        await _write(within, family_id, verdict.changes)
    if verdict.outcome in _EVENT:
        await _end(within, family, verdict, generation)
    told = None if verdict.outcome is Outcome.UNKNOWN else family
    return Rotation(outcome=verdict.outcome, family=told, now=row["now"])


def _takes_session(family: Family, verdict: Verdict) -> bool:
    return verdict.outcome is Outcome.THEFT and family.bff


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
    if _takes_session(family, verdict) and family.session_id is not None:
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
