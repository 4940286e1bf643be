"""Privacy (design §4): what is older than its time goes, and the key of its day with it. Pruning: what is dead goes.

`now` is handed in, so that a test moves the clock 31 days. Deletes run in small transactions of their own.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from bartizan.database.events import PostgresEvents
from bartizan.database.store import PostgresStore
from bartizan.database.within import Within
from bartizan.model.event import Event

BATCH = 5_000
DAYS_AHEAD = 3

# table → which rows are over; $1 is now, $2 the end of retention.
_DEAD: dict[str, str] = {
    "pushed": "expires_at < $1::timestamptz - interval '1 hour'",
    "interactions": "expires_at < $1::timestamptz - interval '1 hour'",
    "links": "expires_at < $1::timestamptz - interval '1 day'",
    "codes": "expires_at < $1::timestamptz - interval '1 day'",  # spent ones are known again until then
    "attempts": "until < $1::timestamptz",
    "ended": "until < $1::timestamptz",
    "families": "coalesce(ended_at, least(idle_until, absolute_until)) < $1::timestamptz - interval '1 day'",
    "consents": "until < $1::timestamptz - interval '1 day'",
}
_OLD: dict[str, str] = {
    "events": "at < $2::timestamptz",
    "sessions": """
        coalesce(ended_at, expires_at) < $2::timestamptz
        AND NOT EXISTS (SELECT FROM families WHERE session_id = sessions.id AND ended_at IS NULL)
    """,
    "signing_keys": "removed_at < $2::timestamptz",
    "pgqueuer": "status = 'failed' AND updated < $2::timestamptz",  # a parked job may hold an address
    "pgqueuer_log": "created < $2::timestamptz",
}


async def prune(store: PostgresStore, now: datetime) -> dict[str, int]:
    """Deletes what can never be used again; gives how many rows of each table."""
    return await _delete_all(store, _DEAD, now, _cutoff(store, now))


async def purge(store: PostgresStore, now: datetime) -> dict[str, int]:
    """Deletes what is older than the retention, notes it as an event, and gives how many rows of each table."""
    cutoff = _cutoff(store, now)
    days = await _drop_days(store, cutoff)
    gone = await _delete_all(store, _OLD, now, cutoff)
    async with store.within(transaction=True) as within:
        await within.connection.execute("DELETE FROM day_keys WHERE day < $1", cutoff.astimezone(UTC).date())
        await within.connection.execute(
            "UPDATE sessions SET network = '' WHERE network <> '' AND last_seen_at < $1", cutoff
        )
        within.days.forget()
        if days or any(gone.values()):
            detail = {table: str(number) for table, number in gone.items() if number}
            await PostgresEvents(within).record(Event(code="purge.done", detail=detail | {"days": str(len(days))}))
    return gone


async def make_days(store: PostgresStore, now: datetime) -> None:
    """Partitions and keys of today and the next days."""
    today = now.astimezone(UTC).date()
    for day in (today + timedelta(days=number) for number in range(DAYS_AHEAD + 1)):
        async with store.within(transaction=True) as within:
            await within.connection.execute("SET LOCAL lock_timeout = '2s'")
            await within.connection.execute("SELECT make_event_day($1)", day)
            await within.days.make(within.connection, day)


def _cutoff(store: PostgresStore, now: datetime) -> datetime:
    return now - timedelta(days=store.settings.retention_days)


async def _drop_days(store: PostgresStore, cutoff: datetime) -> list[date]:
    """A day that is over as a whole goes at one stroke; `_OLD` takes the rest, row by row."""
    async with store.within(transaction=False) as within:
        days = await _event_days(within)
    over = [day for day in days if day < cutoff.astimezone(UTC).date()]
    for day in over:
        async with store.within(transaction=True) as within:
            await within.connection.execute("SET LOCAL lock_timeout = '2s'")
            await within.connection.execute(f"DROP TABLE IF EXISTS events_{day:%Y%m%d}")
    return over


async def _event_days(within: Within) -> list[date]:
    rows = await within.connection.fetch(
        r"""
        SELECT substring(relname FROM '^events_(\d{8})$')::date AS day
        FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = 'events'::regclass AND relname ~ '^events_\d{8}$' ORDER BY 1
        """
    )
    return [row["day"] for row in rows]


async def _delete_all(store: PostgresStore, tables: dict[str, str], now: datetime, cutoff: datetime) -> dict[str, int]:
    return {table: await _delete(store, table, which, now, cutoff) for table, which in tables.items()}


async def _delete(store: PostgresStore, table: str, which: str, now: datetime, cutoff: datetime) -> int:
    """In batches, passing over what somebody holds."""
    total = 0
    while True:
        async with store.within(transaction=False) as within:
            # $1 and $2 are both named, so that either may go unused.
            done: int = await within.connection.fetchval(
                f"""
                WITH chosen AS MATERIALIZED (
                    SELECT tableoid AS part, ctid AS place FROM {table}
                    WHERE {which} AND $1::timestamptz IS NOT NULL AND $2::timestamptz IS NOT NULL
                    LIMIT {BATCH} FOR UPDATE SKIP LOCKED
                ), gone AS (
                    DELETE FROM {table} USING chosen
                    WHERE {table}.tableoid = chosen.part AND {table}.ctid = chosen.place RETURNING 1
                )
                SELECT count(*) FROM gone
                """,
                now,
                cutoff,
            )
        total += done
        if done < BATCH:
            return total
