"""Flows §7: what is ended is listed in the statement that ends it, whoever ends it and why."""

from __future__ import annotations

from uuid import UUID

from bartizan.database.within import Within

_LIST = """
    INSERT INTO ended (gid, at, until)
    SELECT gid, now(), now() + make_interval(secs => $1) FROM unnest($2::uuid[]) AS gid
    ON CONFLICT (gid) DO UPDATE SET at = excluded.at, until = excluded.until
"""

# Locked in id order first, so that two endings of overlapping families cannot wait for each other.
_END = """
    WITH these AS MATERIALIZED (
        SELECT id FROM families WHERE {which} AND ended_at IS NULL ORDER BY id FOR NO KEY UPDATE
    ), gone AS (
        UPDATE families SET ended_at = now(), ended_reason = $2 FROM these
        WHERE families.id = these.id AND families.ended_at IS NULL
        RETURNING families.id
    ), listed AS (
        INSERT INTO ended (gid, at, until)
        SELECT id, now(), now() + make_interval(secs => $1) FROM gone
        ON CONFLICT (gid) DO UPDATE SET at = excluded.at, until = excluded.until
    )
    SELECT id FROM gone ORDER BY id
"""

FAMILY = _END.format(which="id = $3")
SESSIONS = _END.format(which="session_id = ANY ($3)")
OF_USER = _END.format(which="user_id = $3")
OF_CLIENT = _END.format(which="client_id = $3")
OF_USER_AT_CLIENT = _END.format(which="user_id = $3 AND client_id = $4")


async def end_families(within: Within, which: str, reason: str, *chosen: object) -> list[UUID]:
    """Ends the living families that `which` (one of the above) names; gives their gids."""
    rows = await within.connection.fetch(which, within.settings.ended_seconds, reason, *chosen)
    return [row["id"] for row in rows]


async def end_sessions(within: Within, session_ids: list[UUID], reason: str) -> list[UUID]:
    """Ends sessions and all families that hang on them; gives the gids."""
    await within.connection.execute(
        "UPDATE sessions SET ended_at = now(), ended_reason = $2 WHERE id = ANY ($1) AND ended_at IS NULL",
        session_ids,
        reason,
    )
    return await end_families(within, SESSIONS, reason, session_ids)


async def list_ended(within: Within, gids: list[UUID]) -> None:
    await within.connection.execute(_LIST, within.settings.ended_seconds, gids)
