"""Name and e-mail. A new address counts once the link sent there is opened; the old one is told.

Who has the address can set a new password, so a new one needs the password (ASVS 7.5.1): a session that was found open
or copied must not become the account.
"""

from __future__ import annotations

from starlette.responses import Response

from bartizan.auth import attempts, links, trace
from bartizan.auth.account import password, view
from bartizan.auth.door import Visit
from bartizan.auth.say import email_fault, name_fault
from bartizan.model.job import Job
from bartizan.model.limit import Try
from bartizan.model.users import identifier_key
from bartizan.protocol.refusal import Refused
from bartizan.web.pages import see_other

MINUTES = 60
SECTION = "profile"


async def save(visit: Visit) -> Response:
    fields = await visit.fields()
    name, email = fields.get("name").strip(), fields.get("email").strip()
    fault = name_fault(name) or email_fault(email)
    if fault is None and email != visit.user.email:
        fault = await password.wrong(visit, fields.get("password"), "profile-password")
    if fault is not None:
        return await view.page(visit, section=SECTION, fault=fault, name=name, email=email)
    if name != visit.user.name:
        await _rename(visit, name)
    if email != visit.user.email:
        await _mail_link(visit, email)
        return see_other("/account?said=mailed#profile")
    return see_other("/account?said=name#profile")


async def _rename(visit: Visit, name: str) -> None:
    async with visit.desk.ports.store.transaction() as records:
        await records.users.set_name(visit.user.id, name)
        event = trace.of(visit.request).event("user.changed", user_id=visit.user.id, detail={"what": "name"})
        await records.events.record(event)


async def _mail_link(visit: Visit, email: str) -> None:
    """To an address that somebody else has goes a mail that says so: the page looks the same."""
    desk, ports = visit.desk, visit.desk.ports
    again = await attempts.take(
        ports,
        Try("mail.identifier", identifier_key(email), attempts.MAIL_BY_IDENTIFIER),
        Try("mail.user", str(visit.user.id), attempts.MAIL_BY_IDENTIFIER),
    )
    if again is not None:
        tell = f"We sent as many mails as we do in an hour. It works again at {again:%H:%M} UTC."
        raise Refused("too_many_mails", tell, "mails limited", status=429)
    async with ports.store.transaction() as records:
        owner = await records.users.by_email(email)
        foreign = owner is not None and owner.id != visit.user.id
        kind, addressee = ("already", owner.id) if foreign and owner is not None else ("email", visit.user.id)
        link = links.new(kind, addressee, {"email": email}, now=ports.clock(), minutes=MINUTES, chance=ports.chance)
        await records.links.add(link)
        mail = "mail.already" if foreign else "mail.email"
        await records.jobs.enqueue(Job(id=desk.new_id(), kind=mail, detail={"link": str(link.id)}))
