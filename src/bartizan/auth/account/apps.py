"""End an app's access: the consent and all that lives by it, in one transaction (flows §6)."""

from __future__ import annotations

from starlette.responses import Response

from bartizan.auth import trace
from bartizan.auth.door import Visit
from bartizan.web.pages import see_other


async def end(visit: Visit) -> Response:
    await visit.fields()
    client_id = visit.param("client_id")
    async with visit.desk.ports.store.transaction() as records:
        if await records.consents.hold(visit.user.id, client_id):
            await records.consents.withdraw(visit.user.id, client_id)
            event = trace.of(visit.request).event("consent.withdrawn", user_id=visit.user.id, client_id=client_id)
            await records.events.record(event)
    return see_other("/account?said=app#apps")
