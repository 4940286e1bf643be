"""Links by mail, for verification and reset. What an outsider sees, and what it costs, is the same for everybody."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from bartizan.auth import attempts, links
from bartizan.auth.desk import Desk
from bartizan.auth.signin import waiting
from bartizan.auth.signin.waiting import Waiting
from bartizan.model.codes import Link
from bartizan.model.job import Job
from bartizan.model.limit import Try
from bartizan.model.store import Records
from bartizan.model.users import User, identifier_key
from bartizan.protocol.refusal import Refused
from bartizan.protocol.web import privacy
from bartizan.web import caller
from bartizan.web.pages import see_other

MINUTES = 30
# A link of this kind opens nothing: its row and its job stand where others would, so that both ways do the same work
# while somebody waits for the answer (a job more or less could be measured).
NO_LINK = "none"
MAILS = {"verify": "mail.verify", "reset": "mail.reset", "already": "mail.already", NO_LINK: "mail.none"}


async def limit(desk: Desk, request: Request, email: str) -> None:
    """Refused when this address was mailed, or this caller had mails sent, too often: existing accounts or not."""
    again = await attempts.take(
        desk.ports,
        Try("mail.identifier", identifier_key(email), attempts.MAIL_BY_IDENTIFIER),
        Try("mail.address", privacy.counted(caller.address(request)), attempts.MAIL_BY_ADDRESS),
    )
    if again is not None:
        tell = f"We sent as many mails as we do in an hour. It works again at {again:%H:%M} UTC."
        raise Refused("too_many_mails", tell, "mails limited", status=429)


def link(desk: Desk, kind: str, user: User | None, detail: dict[str, str]) -> Link:
    user_id = user.id if user is not None else None
    ports = desk.ports
    return links.new(kind, user_id, detail, now=ports.clock(), minutes=MINUTES, chance=ports.chance)


async def send(desk: Desk, records: Records, made: Link) -> None:
    """The mail is enqueued in this transaction; the job names the row, so no address lies in the queue."""
    await records.jobs.enqueue(Job(id=desk.new_id(), kind=MAILS[made.kind], detail={"link": str(made.id)}))


def to_check_mail(desk: Desk, what: str, email: str, made: Link) -> Response:
    waits = Waiting(what=what, email=email, link=made.id, until=made.expires_at)
    return see_other("/check-mail", (waiting.cookie(desk, waits),))


async def mail_again(desk: Desk, request: Request, user: User) -> Response:
    """The right password, but the address was never confirmed: a fresh link."""
    await limit(desk, request, user.email)
    made = link(desk, "verify", user, {"email": user.email})
    async with desk.ports.store.transaction() as records:
        await records.links.add(made)
        await send(desk, records, made)
    return to_check_mail(desk, "verify", user.email, made)
