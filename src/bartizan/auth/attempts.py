"""Tries are limited per identifier and per address; without the cache PostgreSQL counts, and nothing opens (design §6).

The same for accounts that do not exist: what is counted is what was typed.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

from bartizan.auth.ports import AuthPorts
from bartizan.model.limit import Limit
from bartizan.protocol.refusal import Unavailable
from bartizan.protocol.secrets import mac

QUARTER = 15 * 60
HOUR = 60 * 60

PASSWORD_BY_IDENTIFIER = Limit(10, QUARTER)
PASSWORD_BY_ADDRESS = Limit(300, QUARTER)
MAIL_BY_IDENTIFIER = Limit(5, HOUR)
MAIL_BY_ADDRESS = Limit(120, HOUR)
ONCE = Limit(1, QUARTER)  # for noting that a limit held, once a window


class Try(Struct, frozen=True):
    """`what` names the rule, `who` the counted: an identifier, an address, an id."""

    what: str
    who: str
    limit: Limit


async def take(ports: AuthPorts, *tries: Try) -> datetime | None:
    """Counts each. None: go on. Else the time at which it works again."""
    blocked = [seconds for one in tries if (seconds := await _wait(ports, one)) is not None]
    return ports.clock() + timedelta(seconds=max(blocked)) if blocked else None


async def forgive(ports: AuthPorts, what: str, who: str) -> None:
    """After a success. Without the cache the count simply runs out."""
    try:
        await ports.limits.clear(what, who)
    except Unavailable:
        return


async def _wait(ports: AuthPorts, one: Try) -> int | None:
    try:
        taken = await ports.limits.hit(one.what, one.who, one.limit)
        return None if taken.allowed else max(taken.reset_seconds, 1)
    except Unavailable:
        key = mac(ports.ring.purpose("pages").newest[1], b"attempts", one.what.encode(), one.who.encode())
        async with ports.store.reading() as records:
            number = await records.attempts.hit(key, seconds=one.limit.seconds)
        return None if number <= one.limit.amount else one.limit.seconds
