"""Flows §7: what is ended is listed in the statement that ends it, whoever ends it and why.

Only what may still have access is listed: a family that has been given no token for as long as one lives needs no
entry, so that nobody fills the list by ending what lay idle. Refresh and introspection look at the row itself.

Unless it is too much to list: then the keys that signed its tokens are withdrawn (`switching.py`), in the same
transaction. So either all of it is there or nothing is, whoever dies in between.

Sessions are locked before families wherever both are, and each in id order: no two endings wait for each other.
"""

from __future__ import annotations

from uuid import UUID

from msgspec import Struct

from bartizan.database import switching
from bartizan.database.lifetimes import KEPT
from bartizan.database.within import Within

# A twentieth of what can be listed may be too much beside others that end at this moment, which the statement does not
# see: then it is counted again, in turn.
_COUNTED_AGAIN = 20

# By clock_timestamp(), not by now(): an ending may wait two minutes for rows that others hold (`ended.py`), and readers
# look back one, from their last look.
_LIST = """
    INSERT INTO ended (gid, at, until)
    SELECT gid, clock_timestamp(), clock_timestamp() + make_interval(secs => {kept}) FROM {these}
    ON CONFLICT (gid) DO UPDATE SET at = excluded.at, until = excluded.until
"""
_LIST_GIDS = _LIST.format(kept=KEPT, these="unnest($2::uuid[]) AS gid")

# A token is given at a rotation, at most ten seconds after it (grace), or late to whoever lost the answer, which only
# the generation tells and not the time.
_HAS_ACCESS = f"rotated_at > now() - make_interval(secs => {KEPT}) OR late_gen = generation"

_END = f"""
    WITH these AS MATERIALIZED (
        SELECT families.id FROM {{source}} WHERE {{which}} AND families.ended_at IS NULL
        ORDER BY families.id FOR NO KEY UPDATE OF families
    ), gone AS (
        UPDATE families SET ended_at = now(), ended_reason = $2 FROM these
        WHERE families.id = these.id AND families.ended_at IS NULL
        RETURNING families.id AS gid, {_HAS_ACCESS} AS has_access
    ), room AS MATERIALIZED (
        SELECT (SELECT count(*) FROM gone WHERE has_access) + ({switching.LISTED}) > {{most}} AS exceeded
    ), listed AS (
        {_LIST.format(kept=KEPT, these="gone WHERE has_access AND NOT (SELECT exceeded FROM room)")}
    )
    SELECT count(*) AS number, {{gids}} AS gids, (SELECT exceeded FROM room) AS exceeded FROM gone
"""

FAMILY = "families.id = $3"
SESSIONS = "session_id = ANY ($3)"
OF_USER = "user_id = $3"
OF_CLIENT = "client_id = $3"
OF_USER_AT_CLIENT = "user_id = $3 AND client_id = $4"

_END_SESSIONS = """
    WITH these AS MATERIALIZED (
        SELECT id FROM sessions WHERE {which} AND ended_at IS NULL ORDER BY id FOR NO KEY UPDATE
    )
    UPDATE sessions SET ended_at = now(), ended_reason = $1 FROM these
    WHERE sessions.id = these.id AND sessions.ended_at IS NULL
"""


class Gone(Struct, frozen=True):
    number: int
    gids: list[UUID]
    withdrawn: tuple[str, ...]  # keys, where it was too much to list


async def end_families(within: Within, which: str, reason: str, *chosen: object) -> list[UUID]:
    """Ends the living families that `which` (one of the above) names; gives their gids."""
    statement = _statement(within, "families", which, "coalesce(array_agg(gid ORDER BY gid), '{}')")
    return (await _end(within, statement, reason, chosen)).gids


async def end_many_families(
    within: Within, which: str, reason: str, *chosen: object, source: str = "families", seconds: float | None = None
) -> Gone:
    """The same where nobody wants the gids, as they may be a hundred thousand."""
    return await _end(within, _statement(within, source, which, "'{}'::uuid[]"), reason, chosen, seconds)


def _statement(within: Within, source: str, which: str, gids: str) -> str:
    return _END.format(source=source, which=which, gids=gids, most=within.settings.most_listed)


async def _end(
    within: Within, statement: str, reason: str, chosen: tuple[object, ...], seconds: float | None = None
) -> Gone:
    async with within.connection.transaction():
        row = await within.connection.fetchrow(
            statement, within.settings.ended_seconds, reason, *chosen, timeout=seconds
        )
        assert row is not None, "an aggregate gives a row"
        withdrawn: tuple[str, ...] = ()
        if row["number"] and row["exceeded"]:
            withdrawn = await switching.change(within, row["number"])
        elif row["number"] * _COUNTED_AGAIN >= within.settings.most_listed:
            withdrawn = await switching.relieve(within)
    return Gone(row["number"], list(row["gids"]), withdrawn)


async def end_sessions(within: Within, session_ids: list[UUID], reason: str) -> list[UUID]:
    """Ends sessions and all families that hang on them; gives the gids."""
    await within.connection.execute(_END_SESSIONS.format(which="id = ANY ($2)"), reason, session_ids)
    return await end_families(within, SESSIONS, reason, session_ids)


async def end_many_sessions(within: Within, which: str, reason: str, *chosen: object, seconds: float) -> int:
    """`which` counts its parameters from $2."""
    done = await within.connection.execute(_END_SESSIONS.format(which=which), reason, *chosen, timeout=seconds)
    return int(done.rpartition(" ")[2])


async def list_ended(within: Within, gids: list[UUID]) -> None:
    """What has no family: a client's own token, given back."""
    async with within.connection.transaction():
        await within.connection.execute(_LIST_GIDS, within.settings.ended_seconds, gids)
        listed: int = await within.connection.fetchval(switching.LISTED, within.settings.ended_seconds)
        if listed > within.settings.most_listed:
            await switching.relieve(within)
