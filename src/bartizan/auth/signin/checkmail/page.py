"""Check your mail: the address, how long, send again, start over. The same page whoever has an account."""

from __future__ import annotations

from email.utils import parseaddr

from starlette.requests import Request
from starlette.responses import Response

from bartizan.auth.desk import Desk
from bartizan.auth.signin import mailing, waiting
from bartizan.model.route import Route, Who
from bartizan.web.pages import see_other


class CheckMail:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def show(self, request: Request) -> Response:
        waits = waiting.read(self._desk, request)
        if waits is None or waits.until <= self._desk.ports.clock():
            return see_other("/signin")
        return self._desk.page(
            request,
            "signin/checkmail/page.html",
            subject=str(waits.link),
            waits=waits,
            again=request.query_params.get("said") == "again",
            minutes=mailing.MINUTES,
            sender=parseaddr(self._desk.settings.mail_from)[1],
            inbox="/dev/inbox" if self._desk.settings.dev_inbox else None,
        )

    async def again(self, request: Request) -> Response:
        """The same link once more, as long as it lives. To whoever has none, nothing goes, and nothing shows it."""
        waits = waiting.read(self._desk, request)
        await self._desk.fields(request, str(waits.link) if waits else "")
        if waits is None:
            return see_other("/signin")
        await mailing.limit(self._desk, request, waits.email)
        async with self._desk.ports.store.transaction() as records:
            for kind in mailing.MAILS:
                made = await records.links.peek(waits.link, kind)
                if made is not None:
                    await mailing.send(self._desk, records, made)
        return see_other("/check-mail?said=again")


def rows(desk: Desk) -> tuple[Route, ...]:
    page = CheckMail(desk)
    return (
        Route(methods=("GET",), path="/check-mail", endpoint=page.show, who=Who.ANYONE),
        Route(methods=("POST",), path="/check-mail", endpoint=page.again, who=Who.ANYONE, form=True, limit="10/minute"),
    )
