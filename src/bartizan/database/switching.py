"""Flows §7: when more has ended than readers can hold, the keys that signed its tokens are withdrawn instead.

The next key is always published ahead (`auth/keys.py`), sealed, so this room needs nobody who can sign: it retires, in
the transaction that ended, every key that a process may have signed with, and starts the next. If there is no next one,
none signs, and who needs one makes it (`keys.ensure`).

Why nothing slips through. A token is signed with a key that was read before its family's row was rotated or made, so
before that row was ended, so before this: with a key that is withdrawn here. A key withdrawn is still published for as
long as a process may sign with what it read a moment ago (`REREAD_SECONDS`), so that nobody living is given a token
that readers refuse already; and what was listed stays listed some seconds longer than that, so that no reader holds the
key without the list. What a transaction lists that has not committed by now is not touched here, and stays listed.
"""

from __future__ import annotations

from bartizan.database.events import PostgresEvents
from bartizan.database.lifetimes import KEPT
from bartizan.database.within import Within
from bartizan.model.event import Event
from bartizan.model.keys import REREAD_SECONDS

LOCK = 0x6B657973  # "keys": whoever changes which key signs

_OUTLIVES = 5  # seconds that the list outlives a key: more than any process goes on with what it read of both
_SOON = 10  # seconds: an entry that goes so soon is not counted, or a change would bring on the next
_SKEW = 60  # seconds: a process whose clock is ahead may sign with a key that is not yet active here

# Through the index on `at`; $1 is for how long an entry of this process is kept.
LISTED = f"""
    SELECT count(*) FROM ended
    WHERE at > now() - make_interval(secs => {KEPT}) AND until > now() + interval '{_SOON} seconds'
"""

# clock_timestamp(): the transaction may have been at it for a while, and all that follows runs from its commit.
_WITHDRAW = f"""
    UPDATE signing_keys SET
        retired_at = coalesce(retired_at, clock_timestamp()),
        removed_at = least(removed_at, clock_timestamp() + interval '{REREAD_SECONDS} seconds'),
        sealed = ''
    WHERE (removed_at IS NULL OR removed_at > clock_timestamp())
        AND active_at <= clock_timestamp() + interval '{_SKEW} seconds'
    RETURNING kid
"""
_START_NEXT = """
    UPDATE signing_keys SET active_at = clock_timestamp()
    WHERE kid = (
        SELECT kid FROM signing_keys WHERE retired_at IS NULL AND removed_at IS NULL ORDER BY active_at LIMIT 1
    )
    RETURNING kid
"""
_FORGET = f"""
    UPDATE ended SET until = clock_timestamp() + interval '{REREAD_SECONDS + _OUTLIVES} seconds'
    WHERE until > clock_timestamp() + interval '{REREAD_SECONDS + _OUTLIVES} seconds'
"""


async def relieve(within: Within) -> tuple[str, ...]:
    """Counts in turn with whoever else does, and changes the key if it must. In the caller's transaction."""
    await _in_turn(within)
    listed: int = await within.connection.fetchval(LISTED, within.settings.ended_seconds)
    return await change(within, listed) if listed > within.settings.most_listed else ()


async def change(within: Within, number: int) -> tuple[str, ...]:
    """Withdraws what signed until now, and starts the next. Gives the keys withdrawn; `number` is for the event."""
    await _in_turn(within)
    withdrawn = tuple(sorted(row["kid"] for row in await within.connection.fetch(_WITHDRAW)))
    following = await within.connection.fetchval(_START_NEXT)
    await within.connection.execute(_FORGET)
    detail = {"withdrawn": " ".join(withdrawn), "signs": following or "", "ended": str(number)}
    await PostgresEvents(within).record(Event(code="key.changed", detail=detail))
    return withdrawn


async def _in_turn(within: Within) -> None:
    """A rotation lets this one pass (`lock_rotation`); another change is waited for, and then seen."""
    await within.connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
