"""The list of the ended (flows §7), and ending many at once. The cursor is the database's second: readers overlap by
60 s."""

from __future__ import annotations

from uuid import UUID

from bartizan.database import ending, switching
from bartizan.database.ending import end_many_sessions, list_ended
from bartizan.database.within import Within
from bartizan.model.ended import EndedMany, EndedPage, Many, Meant

# What was listed earlier may be committed later than what was already read; never by more than this, as each is listed
# when all that it ends is held (`ending.py`).
OVERLAP_SECONDS = 60

# Of these gids. A family's own word counts beside the list, on which not all that ended stands.
ENDED = """
    SELECT gid FROM ended WHERE gid = ANY ($1) AND until > clock_timestamp()
    UNION ALL
    SELECT id FROM families WHERE id = ANY ($1) AND ended_at IS NOT NULL
"""

# An operator's statement may take longer than a request's; 100,000 sessions take about one second.
MANY_SECONDS = 120

_SESSIONS = """
    ($2::timestamptz IS NULL OR created_at < $2) AND ($3::uuid IS NULL OR user_id <> $3)
    AND ($4::uuid IS NULL OR id <> $4)
"""
# Without a time: what hangs on any session. None is looked up: that would be a third of the whole.
_OF_ALL = """
    created_at <= now() AND ($3::uuid IS NULL OR user_id <> $3) AND ($4::uuid IS NULL OR session_id IS DISTINCT FROM $4)
    AND ($5 OR session_id IS NOT NULL)
"""
# With one: what hangs on a session that has ended, by this or before, however young it is itself.
_WITH_SESSIONS = "families LEFT JOIN sessions ON sessions.id = families.session_id"
_OF_OLDER = """
    (sessions.ended_at IS NOT NULL OR ($5 AND families.session_id IS NULL AND families.created_at < $6))
    AND ($3::uuid IS NULL OR families.user_id <> $3) AND ($4::uuid IS NULL OR families.session_id IS DISTINCT FROM $4)
"""
_OF_CLIENT = """
    client_id = $5 AND ($3::uuid IS NULL OR user_id <> $3) AND ($4::uuid IS NULL OR session_id IS DISTINCT FROM $4)
    AND ($6::timestamptz IS NULL OR created_at < $6)
"""

# How many that would be: the same words, with `these` for the sessions that would have ended by then.
_COUNT = f"""
    WITH these AS MATERIALIZED (
        SELECT id, user_id FROM sessions WHERE $1 AND {_SESSIONS} AND ended_at IS NULL
    ), hanging AS MATERIALIZED (
        SELECT families.user_id FROM {{source}} WHERE ({{which}}) AND families.ended_at IS NULL
    )
    SELECT (SELECT count(*) FROM these) AS sessions, (SELECT count(*) FROM hanging) AS families,
        (SELECT count(*) FROM (SELECT user_id FROM these UNION SELECT user_id FROM hanging) AS everybody) AS people
"""
_COUNT_OF_CLIENT = _COUNT.format(source="families", which=_OF_CLIENT)
_COUNT_ALL = _COUNT.format(source="families", which=_OF_ALL)
_COUNT_OLDER = _COUNT.format(source=_WITH_SESSIONS, which=f"sessions.id IN (SELECT id FROM these) OR {_OF_OLDER}")


class PostgresEnded:
    def __init__(self, within: Within) -> None:
        self._within = within

    async def add(self, gid: UUID) -> None:
        await list_ended(self._within, [gid])

    async def contains(self, gid: UUID) -> bool:
        return bool(await self._within.connection.fetch(ENDED, [gid]))

    async def after(self, cursor: int) -> EndedPage:
        row = await self._within.connection.fetchrow(
            """
            SELECT extract(epoch FROM now())::bigint AS now, coalesce(array_agg(gid ORDER BY at, gid), '{}') AS gids,
                (
                    SELECT coalesce(array_agg(kid ORDER BY active_at DESC, kid), '{}') FROM signing_keys
                    WHERE removed_at IS NULL OR removed_at > now()
                ) AS kids
            FROM ended
            WHERE until > now() AND at >= to_timestamp($1::bigint - $2::int)
            """,
            cursor,
            OVERLAP_SECONDS,
        )
        assert row is not None, "an aggregate gives a row"
        gids = tuple(str(gid) for gid in row["gids"])
        return EndedPage(gids=gids, cursor=row["now"], now=row["now"], kids=tuple(row["kids"]))

    async def count_many(self, which: Many) -> Meant:
        more: tuple[object, ...]
        chosen = (which.client_id is None, which.before, which.but_user, which.but_session)
        if which.client_id is not None:
            statement, more = _COUNT_OF_CLIENT, (which.client_id, which.before)
        elif which.before is None:
            statement, more = _COUNT_ALL, (which.offline,)
        else:
            statement, more = _COUNT_OLDER, (which.offline, which.before)
        async with self._within.connection.transaction():
            await self._take_time()
            row = await self._within.connection.fetchrow(statement, *chosen, *more, timeout=MANY_SECONDS)
        assert row is not None, "an aggregate gives a row"
        return Meant(sessions=row["sessions"], families=row["families"], people=row["people"])

    async def _take_time(self) -> None:
        for patience in ("statement_timeout", "lock_timeout"):  # another ending of as many may hold rows as long
            await self._within.connection.execute(f"SET LOCAL {patience} = '{MANY_SECONDS}s'")

    async def end_many(self, which: Many, reason: str) -> EndedMany:
        async with self._within.connection.transaction():
            await self._take_time()
            if which.client_id is not None:
                await self._spend_codes(which.client_id, which.but_user)
                sessions, gone = 0, await self._families(_OF_CLIENT, which, reason, which.client_id, which.before)
            else:
                sessions = await end_many_sessions(
                    self._within, _SESSIONS, reason, which.before, which.but_user, which.but_session,
                    seconds=MANY_SECONDS,
                )  # fmt: skip
                if which.before is None:
                    gone = await self._families(_OF_ALL, which, reason, which.offline)
                else:
                    gone = await self._families(
                        _OF_OLDER, which, reason, which.offline, which.before, source=_WITH_SESSIONS
                    )
        return EndedMany(sessions=sessions, families=gone.number, withdrawn=gone.withdrawn)

    async def _families(
        self, chosen: str, which: Many, reason: str, *more: object, source: str = "families"
    ) -> ending.Gone:
        return await ending.end_many_families(
            self._within, chosen, reason, which.but_user, which.but_session, *more, source=source, seconds=MANY_SECONDS
        )

    async def _spend_codes(self, client_id: str, but_user: UUID | None) -> None:
        """A code that the client holds must not buy anew what has just ended; a minute later none could."""
        await self._within.connection.execute(
            "DELETE FROM codes WHERE client_id = $1 AND spent_at IS NULL AND ($2::uuid IS NULL OR user_id <> $2)",
            client_id,
            but_user,
        )

    async def relieve(self) -> tuple[str, ...]:
        async with self._within.connection.transaction():
            return await switching.relieve(self._within)
