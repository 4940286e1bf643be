"""`bartizan session end-all`: what an operator does after an incident (flows §7). One transaction, one event."""

from __future__ import annotations

import os
from datetime import UTC, datetime

from msgspec import Struct

from bartizan.auth import keys as signing
from bartizan.model.ended import Many
from bartizan.model.event import Event
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


def question(wish: Wish) -> str:
    what = f"End all access of {wish.client}" if wish.client else "Sign everybody out"
    older = f", where it began before {wish.before:%Y-%m-%d %H:%M %Z}" if wish.before else ""
    spared = f", but not {wish.but}" if wish.but else ""
    return f"{what}{older}{spared}?"


async def end_all(instance: Instance, wish: Wish) -> Row:
    async with instance.store.transaction() as records:
        if wish.client and await records.clients.by_id(wish.client) is None:
            raise Trouble(f"There is no client {wish.client!r}. See: bartizan client list")
        spared = await find(records, wish.but) if wish.but else None
        which = Many(
            client_id=wish.client or None,
            before=wish.before,
            but_user=spared.id if spared else None,
            offline=wish.offline,
        )
        done = await records.ended.end_many(which, REASON)
        detail = {"by": "command line", "sessions": str(done.sessions), "families": str(done.families)}
        if wish.before is not None:
            detail["before"] = wish.before.isoformat()
        await records.events.record(Event(code="sessions.ended", client_id=which.client_id, detail=detail))
    if done.withdrawn:
        # The next key signs; now another is published, so that a second ending finds one that all know.
        settings = compiled.auth(instance.at)
        await signing.rotate(settings, instance.store, instance.ring, instance.store.clock, os.urandom)
    return {
        "sessions_ended": done.sessions,
        "access_ended": done.families,
        "new_signing_key": bool(done.withdrawn),
    }
