"""OAuth 2.1 §4.1.3: a code is spent by one statement, which also notes what it bought."""

from __future__ import annotations

from uuid import UUID

from bartizan.database.rows import marks, names, values
from bartizan.database.within import Within
from bartizan.model.codes import Code

COLUMNS = names(Code)
ADD = f"INSERT INTO codes (fingerprint, {COLUMNS}) VALUES ($1, {marks(Code, after=1)})"

# Not for a client that was disabled, whatever the process that asks still holds of it. Not when its session has ended:
# that row stays locked until the family is there, so that ending the session either comes first and nothing is bought,
# or comes after and ends the family too.
_REDEEM = """
    WITH session AS MATERIALIZED (
        SELECT ended_at FROM sessions
        WHERE id = (SELECT session_id FROM codes WHERE fingerprint = $1) FOR SHARE {held}
    )
    UPDATE codes SET family_id = $2, spent_at = now()
    WHERE fingerprint = $1 AND spent_at IS NULL AND expires_at > now()
    AND {living}
    AND NOT EXISTS (SELECT FROM clients WHERE clients.id = codes.client_id AND disabled)
    RETURNING family_id
"""
REDEEM = _REDEEM.format(held="", living="NOT EXISTS (SELECT FROM session WHERE ended_at IS NOT NULL)")
# In company: what somebody holds, session or code, is passed over.
REDEEM_FREE = _REDEEM.format(
    held="SKIP LOCKED",
    living="""EXISTS (SELECT FROM session WHERE ended_at IS NULL)
    AND fingerprint = (SELECT fingerprint FROM codes WHERE fingerprint = $1 FOR NO KEY UPDATE SKIP LOCKED)""",
)


class PostgresCodes:
    def __init__(self, within: Within) -> None:
        self._connection = within.connection

    async def add(self, fingerprint: bytes, code: Code) -> None:
        await self._connection.execute(ADD, fingerprint, *values(code))

    async def bought(self, fingerprint: bytes) -> UUID | None:
        found: UUID | None = await self._connection.fetchval(
            "SELECT family_id FROM codes WHERE fingerprint = $1", fingerprint
        )
        return found
