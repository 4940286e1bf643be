"""End one session, or all but this one: with every app that hangs on it, within two seconds (flows §7)."""

from __future__ import annotations

from starlette.responses import Response

from bartizan.auth import trace
from bartizan.auth.door import Visit
from bartizan.protocol.refusal import Refused
from bartizan.web.pages import see_other


async def end(visit: Visit) -> Response:
    await visit.fields()
    async with visit.desk.ports.store.transaction() as records:
        mine = {str(session.id): session.id for session in await records.sessions.of_user(visit.user.id)}
        session_id = mine.get(visit.param("session_id"))
        if session_id is None or not await records.sessions.hold(session_id):
            raise Refused("not_found", "That session has ended already.", "not a session of this person", status=404)
        await records.sessions.end(session_id, "account")
        event = trace.of(visit.request).event("session.ended", user_id=visit.user.id, session_id=session_id)
        await records.events.record(event)
    return see_other("/account?said=session#sessions")


async def end_others(visit: Visit) -> Response:
    await visit.fields()
    async with visit.desk.ports.store.transaction() as records:
        others = [one.id for one in await records.sessions.of_user(visit.user.id) if one.id != visit.session.id]
        living = [other for other in sorted(others) if await records.sessions.hold(other)]
        await records.sessions.end_all_of(visit.user.id, "account", but=visit.session.id)
        for session_id in living:
            event = trace.of(visit.request).event("session.ended", user_id=visit.user.id, session_id=session_id)
            await records.events.record(event)
    return see_other("/account?said=sessions#sessions")
