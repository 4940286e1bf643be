"""OAuth 2.1 §4.1.3: a code is spent by one statement, which also begins what it buys and notes it."""

from __future__ import annotations

from uuid import UUID

from bartizan.database.events import recording
from bartizan.database.families import COLUMNS as FAMILY
from bartizan.database.families import beginning
from bartizan.database.interactions import finishing
from bartizan.database.rows import names
from bartizan.database.users import COLUMNS as USER
from bartizan.database.users import PEOPLE
from bartizan.database.within import Within
from bartizan.model.codes import Code

COLUMNS = names(Code)
# "= 32": a fingerprint is a SHA-256. By that the planner takes them for few, and looks each up by its key. Else a plan
# made while a table was small reads all of it for each batch, however it grows.
READ = f"""
    SELECT fingerprint, {names(Code, prefix="codes.")}, {USER}
    FROM unnest($1::bytea[]) AS wanted CROSS JOIN LATERAL (
        SELECT * FROM codes WHERE fingerprint = wanted OFFSET 0
    ) AS codes LEFT JOIN ({PEOPLE}) ON users.id = codes.user_id
    WHERE octet_length(wanted) = 32
"""

# $1: fingerprints, $2: their codes, $3: their events.
_ISSUE = f"""
    WITH {{first}} issued AS (
        INSERT INTO codes (fingerprint, {COLUMNS})
        SELECT issued, {names(Code, prefix="asked.")}
        FROM ROWS FROM (unnest($1::bytea[]), json_populate_recordset(NULL::codes, $2)) AS asked (issued) {{which}}
    )
    {recording("$3", "{which}")}
"""
ISSUE = _ISSUE.format(first="", which="")
# For the interaction $4, which this ends. Nothing comes of one that has ended.
ISSUE_FOR = _ISSUE.format(
    first=f"finished AS ({finishing('$4')}),",
    which="WHERE EXISTS (SELECT FROM finished)",
)

# $1: fingerprints, $2 and $3: seconds, $4: the families that they are to buy, $5: their events, which name these.
# Nothing for a client that was disabled, whatever the process that asks still holds of it. Nothing when its session has
# ended: that row stays locked until the family is there, so that ending the session either comes first and nothing is
# bought, or comes after and ends the family too. Sessions are locked in id order, as everybody does; what somebody
# holds, session or code, is passed over. Of twins in one batch the one row takes one.
REDEEM = f"""
    WITH asked AS MATERIALIZED (
        SELECT * FROM ROWS FROM (
            unnest($1::bytea[]), unnest($2::int[]), unnest($3::int[]), json_populate_recordset(NULL::families, $4)
        ) AS asked (fingerprint, idle_seconds, absolute_seconds)
        WHERE octet_length(fingerprint) = 32
    ), session AS MATERIALIZED (
        SELECT sessions.id, sessions.ended_at
        FROM asked JOIN codes USING (fingerprint) JOIN sessions ON sessions.id = codes.session_id
        ORDER BY sessions.id FOR SHARE OF sessions SKIP LOCKED
    ), free AS MATERIALIZED (
        SELECT asked.id, asked.fingerprint FROM asked CROSS JOIN LATERAL (
            SELECT FROM codes
            WHERE codes.fingerprint = asked.fingerprint
            AND EXISTS (SELECT FROM session WHERE session.id = codes.session_id AND session.ended_at IS NULL)
            FOR NO KEY UPDATE SKIP LOCKED
        ) AS code
    ), spent AS (
        UPDATE codes SET family_id = free.id, spent_at = now() FROM free
        WHERE codes.fingerprint = free.fingerprint AND spent_at IS NULL AND expires_at > now()
        AND (SELECT disabled FROM clients WHERE clients.id = codes.client_id) IS NOT true
        RETURNING codes.family_id
    ), noted AS (
        {recording("$5", "JOIN spent ON spent.family_id = told.gid")}
    )
    {beginning("asked JOIN spent ON spent.family_id = asked.id")}
    RETURNING {FAMILY}
"""
# Where one was passed over, or is no good: who holds them is waited for, then REDEEM finds them free.
HOLD_SESSION = "SELECT FROM sessions WHERE id = (SELECT session_id FROM codes WHERE fingerprint = $1) FOR SHARE"
HOLD_CODE = "SELECT FROM codes WHERE fingerprint = $1 FOR NO KEY UPDATE"


class PostgresCodes:
    def __init__(self, within: Within) -> None:
        self._connection = within.connection

    async def bought(self, fingerprint: bytes) -> UUID | None:
        found: UUID | None = await self._connection.fetchval(
            "SELECT family_id FROM codes WHERE fingerprint = $1", fingerprint
        )
        return found
