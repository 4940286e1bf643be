"""Security events: in the transaction that they describe, without an address (design §6).

A partition a day, made ahead by a job and by nobody else: what has none lands in the default partition.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from bartizan.database.connection import Row
from bartizan.database.rows import as_json, marks, names, read, read_or_none, values
from bartizan.database.within import Within
from bartizan.model.event import EVENTS, Event, Seal, StoredEvent
from bartizan.protocol.secrets import uuid7
from bartizan.protocol.web import privacy

_COLUMNS = names(StoredEvent)
_SEAL = names(Seal)


def recording(parameter: str, which: str = "") -> str:
    """A statement, or a part of one, that notes what `PostgresEvents.ready` made."""
    given = ", ".join("now()" if name == "at" else f"told.{name}" for name in StoredEvent.__struct_fields__)
    told = f"json_populate_recordset(NULL::events, {parameter}) AS told"
    return f"INSERT INTO events ({_COLUMNS}) SELECT {given} FROM {told} {which}"


_RECORD = recording("$1")

# An event's time is its transaction's start; older than this, none can still be on its way. An operator's ending of
# many may take two minutes a statement (`ended.py`): what came into a sealed segment later would break its seal.
SETTLED = timedelta(minutes=5)


class PostgresEvents:
    def __init__(self, within: Within) -> None:
        self._within = within
        self._connection = within.connection

    async def record(self, event: Event) -> None:
        await self.record_all([event])

    async def record_all(self, events: Sequence[Event]) -> None:
        await self._connection.execute(_RECORD, await self.ready(events))

    async def ready(self, events: Sequence[Event]) -> str:
        """For `recording`. The key of the day and the ids go by the clock, the rows' time by the transaction: around
        midnight they may lie some milliseconds apart, and an event bears the hash of the day beside."""
        at = self._within.clock()
        return as_json([await self._stored(event, at) for event in events])

    async def _stored(self, event: Event, at: datetime) -> StoredEvent:
        if event.code not in EVENTS:
            raise ValueError(f"{event.code} is no row of EVENTS")
        address_hash, network = None, ""
        if event.address is not None:
            key = await self._within.days.of(self._connection, at.astimezone(UTC).date())
            address_hash, network = privacy.address_hash(key, event.address), privacy.mask(event.address)
        return StoredEvent(
            id=uuid7(int(at.timestamp() * 1000), self._within.chance(10)),
            at=at,
            code=event.code,
            user_id=event.user_id,
            client_id=event.client_id,
            session_id=event.session_id,
            gid=event.gid,
            request_id=event.request_id,
            address_hash=address_hash,
            network=network,
            detail=event.detail,
        )

    async def latest(
        self,
        *,
        limit: int,
        code: str = "",
        severity: str = "",
        user_id: UUID | None = None,
        client_id: str = "",
        before: datetime | None = None,
    ) -> list[StoredEvent]:
        rows = await self._connection.fetch(
            f"""
            SELECT {_COLUMNS} FROM events
            WHERE ($1 = '' OR code = $1) AND ($2::text[] IS NULL OR code = ANY ($2))
            AND ($3::uuid IS NULL OR user_id = $3) AND ($4 = '' OR client_id = $4)
            AND ($5::timestamptz IS NULL OR at < $5)
            ORDER BY at DESC, id DESC LIMIT $6
            """,
            code,
            [kind.code for kind in EVENTS.values() if kind.severity == severity] if severity else None,
            user_id,
            client_id,
            before,
            limit,
        )
        return [read(StoredEvent, row) for row in rows]

    async def counts(self, codes: tuple[str, ...], *, hours: int) -> list[tuple[datetime, str, int]]:
        rows = await self._connection.fetch(
            """
            SELECT date_trunc('hour', at) AS hour, code, count(*) AS number FROM events
            WHERE code = ANY ($1) AND at >= date_trunc('hour', now()) - make_interval(hours => $2)
            GROUP BY hour, code ORDER BY hour, code
            """,
            list(codes),
            hours - 1,
        )
        return [(row["hour"], row["code"], row["number"]) for row in rows]

    async def unsealed(self, *, limit: int) -> list[StoredEvent]:
        """Events of one transaction share a time, at which the next segment begins: so they are never parted."""
        rows = await self._connection.fetch(
            f"""
            SELECT {_COLUMNS} FROM events
            WHERE at > coalesce((SELECT max(last_at) FROM event_seals), '-infinity') AND at < now() - $1::interval
            ORDER BY at FETCH FIRST $2 ROWS WITH TIES
            """,
            SETTLED,
            limit,
        )
        return _in_order(rows)

    async def within(self, after: datetime, until: datetime) -> list[StoredEvent]:
        rows = await self._connection.fetch(f"SELECT {_COLUMNS} FROM events WHERE at > $1 AND at <= $2", after, until)
        return _in_order(rows)

    async def add_seal(self, seal: Seal) -> None:
        await self._connection.execute(f"INSERT INTO event_seals ({_SEAL}) VALUES ({marks(Seal)})", *values(seal))

    async def last_seal(self) -> Seal | None:
        row = await self._connection.fetchrow(f"SELECT {_SEAL} FROM event_seals ORDER BY number DESC LIMIT 1")
        return read_or_none(Seal, row)

    async def seals(self, *, since: datetime, above: int, limit: int) -> list[Seal]:
        rows = await self._connection.fetch(
            f"SELECT {_SEAL} FROM event_seals WHERE first_at >= $1 AND number > $2 ORDER BY number LIMIT $3",
            since,
            above,
            limit,
        )
        return [read(Seal, row) for row in rows]


def _in_order(rows: Sequence[Row]) -> list[StoredEvent]:
    """The order in which they are sealed; not the server's, whose ids compare in a way of their own."""
    return sorted((read(StoredEvent, row) for row in rows), key=lambda event: (event.at, event.id))
