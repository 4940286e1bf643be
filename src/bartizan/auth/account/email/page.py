"""Confirm a new e-mail address: signed in as its person, by a button. The link alone changes nothing."""

from __future__ import annotations

from starlette.responses import Response

from bartizan.auth import links, trace
from bartizan.auth.door import Visit
from bartizan.model.codes import Link
from bartizan.model.job import Job
from bartizan.protocol.refusal import Refused
from bartizan.web.pages import see_other

KIND = "email"


async def show(visit: Visit) -> Response:
    link = await _peek(visit)
    return visit.desk.page(
        visit.request,
        "account/email/page.html",
        subject=visit.subject,
        email=link.detail["email"],
        user=visit.user,
        token=visit.param("token"),
    )


async def confirm(visit: Visit) -> Response:
    await visit.fields()
    link = await _peek(visit)
    async with visit.desk.ports.store.transaction() as records:
        used = await records.links.use(link.id, KIND)
        if used is None or not await records.users.set_email(visit.user.id, used.detail["email"], verified=True):
            raise _dead()
        event = trace.of(visit.request).event("user.changed", user_id=visit.user.id, detail={"what": "email"})
        await records.events.record(event)
        # The old address is told, in case it was not its owner who did this.
        told = Job(id=visit.desk.new_id(), kind="mail.email_changed", detail={"to": visit.user.email})
        await records.jobs.enqueue(told)
    return see_other("/account?said=email#profile")


async def _peek(visit: Visit) -> Link:
    link_id = links.read(visit.desk.links, KIND, visit.param("token"))
    if link_id is None:
        raise _dead()
    async with visit.desk.ports.store.reading() as records:
        link = await records.links.peek(link_id, KIND)
    if link is None or link.user_id != visit.user.id:
        raise _dead()
    return link


def _dead() -> Refused:
    return Refused(
        "link_dead", "This link does not work any more, or is not for the account you are signed in to.", status=410
    )
