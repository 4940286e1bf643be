"""`bartizan session end-all`: what an operator does after an incident (flows §7). One transaction, one event."""

from __future__ import annotations

import os
from datetime import UTC, datetime

from msgspec import Struct

from bartizan.auth import keys as signing
from bartizan.model.ended import EndedMany, Many, Meant
from bartizan.model.event import Event
from bartizan.model.store import Records
from bartizan.stack import compile as compiled
from bartizan.stack.home import Trouble
from bartizan.stack.instance import Instance
from bartizan.stack.operations import Row, find

REASON = "ended by the operator"


class Wish(Struct, frozen=True, kw_only=True):
    """As it was said on the command line. Nothing said: everybody."""

    client: str = ""
    before: datetime | None = None
    but: str = ""
    offline: bool = False


def moment(text: str) -> datetime | None:
    """ISO 8601, UTC where no zone is named."""
    if not text:
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise Trouble(f"--before: {text!r} is no time. Say it as 2026-11-24 or 2026-11-24T08:30.") from None
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)


def question(wish: Wish, meant: Meant) -> str:
    """With how many it means, so that a forgotten `--client` is seen before it is too late."""
    people = _counted(meant.people, "person", "people")
    apps = _counted(meant.families, "sign-in", "sign-ins")
    if wish.client:
        what = f"End what client {wish.client} has: {apps} of {people}"
    elif meant.sessions:
        sessions = _counted(meant.sessions, "session", "sessions")
        what = f"End {sessions} of {people}, with {apps} to apps"
    else:
        what = f"End {apps} to apps, of {people}"
    older = f", begun before {wish.before:%Y-%m-%d %H:%M %Z}" if wish.before else ""
    spared = f", but nothing of {wish.but}" if wish.but else ""
    return f"{what}{older}{spared}?"


def in_vain(wish: Wish, meant: Meant) -> bool:
    """Whether there is nothing to end. Of an app that has nothing yet a code may be on its way, and that ends too."""
    return not meant.sessions and not meant.families and not wish.client


def _counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


async def look(instance: Instance, wish: Wish) -> Meant:
    """How many it would end. Raises Trouble where it names a client or a person that is not there."""
    async with instance.store.reading() as records:
        return await records.ended.count_many(await _which(records, wish))


async def _which(records: Records, wish: Wish) -> Many:
    if wish.client and await records.clients.by_id(wish.client) is None:
        raise Trouble(f"--client: there is no client {wish.client!r}. See: bartizan client list")
    try:
        spared = await find(records, wish.but) if wish.but else None
    except Trouble as nobody:
        raise Trouble(f"--but: {str(nobody)[:1].lower()}{str(nobody)[1:]}") from None
    return Many(
        client_id=wish.client or None,
        before=wish.before,
        but_user=spared.id if spared else None,
        offline=wish.offline,
    )


async def end_all(instance: Instance, wish: Wish) -> Row:
    async with instance.store.transaction() as records:
        which = await _which(records, wish)
        done = await records.ended.end_many(which, REASON)
        detail = {"by": "command line", "sessions": str(done.sessions), "families": str(done.families)}
        if wish.before is not None:
            detail["before"] = wish.before.isoformat()
        await records.events.record(Event(code="sessions.ended", client_id=which.client_id, detail=detail))
    if done.withdrawn:
        # The next key signs; now another is published, so that a second ending finds one that all know.
        settings = compiled.auth(instance.at)
        await signing.rotate(settings, instance.store, instance.ring, instance.store.clock, os.urandom)
    return _told(done)


def _told(done: EndedMany) -> Row:
    return {
        "sessions_ended": done.sessions,
        "access_ended": done.families,
        "new_signing_key": bool(done.withdrawn),
    }


NOTHING = _told(EndedMany(sessions=0, families=0))
