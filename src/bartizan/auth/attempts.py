"""Tries are limited per identifier and per address; without the cache PostgreSQL counts, and nothing opens (design §6).

The same for accounts that do not exist: what is counted is what was typed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from bartizan.auth.ports import AuthPorts
from bartizan.model.limit import Limit, Try
from bartizan.protocol.refusal import Unavailable
from bartizan.protocol.secrets import mac

QUARTER = 15 * 60
HOUR = 60 * 60

PASSWORD_BY_IDENTIFIER = Limit(10, QUARTER)
PASSWORD_BY_ADDRESS = Limit(300, QUARTER)
MAIL_BY_IDENTIFIER = Limit(5, HOUR)
MAIL_BY_ADDRESS = Limit(120, HOUR)
ONCE = Limit(1, QUARTER)  # for noting that a limit held, once a window


class Count(Struct, frozen=True):
    again: datetime | None  # None: go on. Else the time at which it works again
    to_forgive: bool  # whether the first rule holds tries from before, as far as is known
    by: Try | None = None  # what refused; of several the last, which counts for more people


async def count(ports: AuthPorts, *tries: Try) -> Count:
    """All are counted, or none if one of them refuses: a try that was not let in is none.

    Whose address has no tries left so cannot use up those of a person, nor who hammers at one name those of all the
    others behind the same address. Nothing is gained by going on: what was refused has looked at no password.
    """
    try:
        taken = await ports.limits.take(*tries)
    except Unavailable:
        waits = [await _wait_by_database(ports, one) for one in tries]
        return _counted(ports, tries, waits, to_forgive=True)
    waits = [None if one.allowed else max(one.reset_seconds, 1) for one in taken]
    return _counted(ports, tries, waits, to_forgive=taken[0].earlier > 0)


async def take(ports: AuthPorts, *tries: Try) -> datetime | None:
    return (await count(ports, *tries)).again


async def forgive(ports: AuthPorts, what: str, who: str) -> None:
    """After a success that came after other tries; its own may stay. Without the cache the count simply runs out."""
    try:
        await ports.limits.clear(what, who)
    except Unavailable:
        return


def _counted(ports: AuthPorts, tries: Sequence[Try], waits: list[int | None], *, to_forgive: bool) -> Count:
    refused = [(one, seconds) for one, seconds in zip(tries, waits, strict=True) if seconds is not None]
    if not refused:
        return Count(None, to_forgive)
    return Count(ports.clock() + timedelta(seconds=max(seconds for _, seconds in refused)), to_forgive, refused[-1][0])


async def _wait_by_database(ports: AuthPorts, one: Try) -> int | None:
    """Each is counted on its own here, refused or not: in a fixed window that prolongs nothing."""
    key = mac(ports.ring.purpose("pages").newest[1], b"attempts", one.what.encode(), one.who.encode())
    async with ports.store.reading() as records:
        number = await records.attempts.hit(key, seconds=one.limit.seconds)
    return None if number <= one.limit.amount else one.limit.seconds
