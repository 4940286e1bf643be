"""Signing everybody else out at once, after an incident (flows §7). The command line chooses more finely."""

from __future__ import annotations

from starlette.responses import Response

from bartizan.auth import keys, trace
from bartizan.auth.admin import console
from bartizan.auth.door import Visit
from bartizan.model.ended import Many
from bartizan.web.pages import see_other


async def ask(visit: Visit) -> Response:
    """What cuts somebody off opens a page that asks (look: `.danger`)."""
    done = visit.request.query_params.get("said") == "ended"
    return await console.page(visit, "users", "admin/sessions/page.html", done=done)


async def end_others(visit: Visit) -> Response:
    """All but the session that asks, in one transaction with its event."""
    await visit.fields()
    ports = visit.desk.ports
    async with ports.store.transaction() as records:
        done = await records.ended.end_many(Many(but_session=visit.session.id), "admin")
        detail = {"by": str(visit.user.id), "sessions": str(done.sessions), "families": str(done.families)}
        await records.events.record(trace.of(visit.request).event("sessions.ended", detail=detail))
    if done.withdrawn:  # the next key signs; another is published, so that a second ending finds one that all know
        await keys.rotate(visit.desk.settings, ports.store, ports.ring, ports.clock, ports.chance)
    return see_other("/admin/sessions?said=ended")
