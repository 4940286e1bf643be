"""Forgot it: a link by mail sets a new password. It signs nobody in, and says nothing about who has an account."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from bartizan.auth import attempts, links, passwords, trace
from bartizan.auth.desk import Desk
from bartizan.auth.say import Fault, email_fault
from bartizan.auth.signin import mailing, waiting
from bartizan.auth.signin.dead import dead
from bartizan.auth.signin.enter.page import BY_IDENTIFIER
from bartizan.model.codes import Link
from bartizan.model.job import Job
from bartizan.model.route import Route, Who
from bartizan.model.users import User, identifier_key
from bartizan.web.pages import see_other

KIND = "reset"


class Reset:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def ask(self, request: Request) -> Response:
        return self._ask_page(request, "")

    async def mail(self, request: Request) -> Response:
        fields = await self._desk.fields(request)
        email = fields.get("identifier").strip()
        fault = email_fault(email)
        if fault is not None:
            return self._ask_page(request, email, fault)
        await mailing.limit(self._desk, request, email)
        async with self._desk.ports.store.transaction() as records:
            user = await records.users.by_email(email)
            able = user is not None and not user.disabled
            made = mailing.link(self._desk, KIND if able else mailing.NO_LINK, user if able else None, {})
            await records.links.add(made)
            await mailing.send(self._desk, records, made)
        return mailing.to_check_mail(self._desk, KIND, email, made)

    async def show(self, request: Request) -> Response:
        found = await self._peek(request)
        return dead(self._desk, request) if found is None else self._page(request, *found)

    async def submit(self, request: Request) -> Response:
        found = await self._peek(request)
        fields = await self._desk.fields(request, request.path_params["token"])
        if found is None:
            return dead(self._desk, request)
        link, user = found
        what = passwords.fault(fields.get("password"), user.name, user.email, self._desk.settings.site_name)
        if what is not None:
            return self._page(request, link, user, Fault("Choose another password.", what))
        password_hash = await self._desk.ports.passwords.hash(fields.get("password"))
        if not await self._set(request, link, user, password_hash):
            return dead(self._desk, request)
        await attempts.forgive(self._desk.ports, BY_IDENTIFIER, identifier_key(user.email))
        return see_other("/signin?said=password", (waiting.delete(self._desk),))

    async def _set(self, request: Request, link: Link, user: User, password_hash: str) -> bool:
        """The mail proves the address; every session ends, for who reset it may not be who is signed in."""
        async with self._desk.ports.store.transaction() as records:
            if await records.links.use(link.id, KIND) is None:
                return False
            await records.users.set_password(user.id, password_hash)
            await records.users.set_verified(user.id)
            await records.sessions.end_all_of(user.id, "password.reset")
            await records.events.record(trace.of(request).event("password.reset", user_id=user.id))
            told = Job(id=self._desk.new_id(), kind="mail.password_changed", detail={"user_id": str(user.id)})
            await records.jobs.enqueue(told)
        return True

    async def _peek(self, request: Request) -> tuple[Link, User] | None:
        link_id = links.read(self._desk.links, KIND, request.path_params["token"])
        if link_id is None:
            return None
        async with self._desk.ports.store.reading() as records:
            link = await records.links.peek(link_id, KIND)
            if link is None or link.user_id is None:
                return None
            user = await records.users.by_id(link.user_id)
        return None if user is None or user.disabled else (link, user)

    def _ask_page(self, request: Request, email: str, fault: Fault | None = None) -> Response:
        return self._desk.page(
            request, "signin/reset/ask.html", status=400 if fault else 200, identifier=email, fault=fault
        )

    def _page(self, request: Request, link: Link, user: User, fault: Fault | None = None) -> Response:
        return self._desk.page(
            request,
            "signin/reset/page.html",
            subject=request.path_params["token"],
            status=400 if fault else 200,
            email=user.email,
            token=request.path_params["token"],
            fault=fault,
        )


def rows(desk: Desk) -> tuple[Route, ...]:
    page = Reset(desk)
    path = "/reset/{token}"
    return (
        Route(methods=("GET",), path="/reset", endpoint=page.ask, who=Who.ANYONE),
        Route(methods=("POST",), path="/reset", endpoint=page.mail, who=Who.ANYONE, form=True, limit="10/minute"),
        Route(methods=("GET",), path=path, endpoint=page.show, who=Who.ANYONE),
        Route(methods=("POST",), path=path, endpoint=page.submit, who=Who.ANYONE, form=True, limit="30/minute"),
    )
