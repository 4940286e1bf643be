"""Design §6: the seals of the event log, read again and held to the rows that they cover, oldest first.

A month of busy days is more than memory should hold, so it goes by pieces: some thousand rows and their seals a time.
"""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec import Struct

from bartizan.model.event import Seal, StoredEvent
from bartizan.model.store import Store
from bartizan.monitoring.jobs import SEGMENT, Broken, Verify, verify_chain

_SEALS = 500  # at a time
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class Looked(Struct, frozen=True):
    seals: int  # were looked at
    broken: Broken | None


async def look(store: Store, verify: Verify, since: datetime) -> Looked:
    """At all seals of segments that begin at `since` or later: older ones may have lost rows and keys to the purge.

    The rows of the first of them are left out, unless it is number 1: its digest hangs on a seal that is not read.
    """
    previous: Seal | None = None
    looked = 0
    while True:
        async with store.reading() as records:
            above = previous.number if previous else 0
            seals = _some(await records.events.seals(since=since, above=above, limit=_SEALS))
            if not seals:
                return Looked(looked, None)
            events = await records.events.within(_before(seals[0], previous), seals[-1].last_at)
        looked += len(seals)
        broken = verify_chain(seals, _parted(seals, events), verify, previous=previous)
        if broken is not None:
            return Looked(looked, broken)
        previous = seals[-1]


def _some(seals: list[Seal]) -> list[Seal]:
    """The first one, and as many more as have no more rows together than a segment may have."""
    rows = 0
    for number, seal in enumerate(seals):
        rows += seal.rows
        if number and rows > SEGMENT:
            return seals[:number]
    return seals


def _before(first: Seal, previous: Seal | None) -> datetime:
    if previous is not None:
        return previous.last_at
    return _BEGINNING if first.number == 1 else first.last_at


def _parted(seals: list[Seal], events: list[StoredEvent]) -> dict[int, list[StoredEvent]]:
    """Each seal's rows: up to its last time, and later than the one's before it."""
    parts: dict[int, list[StoredEvent]] = {seal.number: [] for seal in seals}
    waiting = iter(seals)
    seal = next(waiting)
    for event in events:
        while event.at > seal.last_at:
            seal = next(waiting)
        parts[seal.number].append(event)
    return parts
