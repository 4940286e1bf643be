"""Confirm an address (flows §5). GET shows a button and changes nothing: scanners open links.

In the browser that signed up, the sign-in goes on. Anywhere else the password chosen at sign-up is asked first, or a
stranger's link would complete an attacker's account.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from bartizan.auth import attempts, links, proceed, sso, trace
from bartizan.auth.desk import Desk
from bartizan.auth.passwords import LONGEST
from bartizan.auth.say import Fault, where_forms_lead
from bartizan.auth.signin import familiar, waiting
from bartizan.auth.signin.dead import dead
from bartizan.model.codes import Link
from bartizan.model.limit import Try
from bartizan.model.route import Route, Who
from bartizan.model.store import Records
from bartizan.model.users import User
from bartizan.web.pages import with_cookies

KIND = "verify"
_WRONG = Fault("That is not the password chosen at sign-up.", "Type it again, or open the link in the first browser.")


class Verify:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def show(self, request: Request) -> Response:
        link = await self._peek(request)
        return dead(self._desk, request) if link is None else await self._page(request, link)

    async def submit(self, request: Request) -> Response:
        link = await self._peek(request)
        fields = await self._desk.fields(request, request.path_params["token"])
        if link is None:
            return dead(self._desk, request)
        if not self._is_here(request, link):
            fault = await self._check_password(link, fields.get("password"))
            if fault is not None:
                return await self._page(request, link, fault)
        return await self._confirm(request, link)

    async def _peek(self, request: Request) -> Link | None:
        link_id = links.read(self._desk.links, KIND, request.path_params["token"])
        if link_id is None:
            return None
        async with self._desk.ports.store.reading() as records:
            return await records.links.peek(link_id, KIND)

    def _is_here(self, request: Request, link: Link) -> bool:
        waits = waiting.read(self._desk, request)
        return waits is not None and waits.link == link.id

    async def _check_password(self, link: Link, password: str) -> Fault | None:
        ports = self._desk.ports
        if await attempts.take(ports, Try("verify", str(link.id), attempts.PASSWORD_BY_IDENTIFIER)) is not None:
            return Fault("Too many tries.", "Open the link in the browser you signed up in.")
        stored = link.detail.get("password_hash")
        if stored is None and link.user_id is not None:
            async with ports.store.reading() as records:
                stored = await records.users.password_hash(link.user_id)
        matched = await ports.passwords.verify(stored, password[:LONGEST])
        return None if matched else _WRONG

    async def _confirm(self, request: Request, link: Link) -> Response:
        ports, settings = self._desk.ports, self._desk.settings
        async with ports.store.transaction() as records:
            used = await records.links.use(link.id, KIND)
            user = await self._owner(records, used, request) if used is not None else None
            if user is None:
                return dead(self._desk, request)
            await records.events.record(trace.of(request).event("user.verified", user_id=user.id))
            signed_in = await sso.start_session(records, user, request, ports, settings)
        response = await proceed.proceed(request, ports, settings, signed_in=signed_in)
        return with_cookies(response, (waiting.delete(self._desk), familiar.cookie(self._desk, user.email)))

    async def _owner(self, records: Records, used: Link, request: Request) -> User | None:
        """The account: made now, or, when the command line made it unverified, confirmed now."""
        if used.user_id is not None:
            await records.users.set_verified(used.user_id)
            user = await records.users.by_id(used.user_id)
            return None if user is None or user.disabled else user
        now = self._desk.ports.clock()
        user = User(
            id=self._desk.new_id(),
            email=used.detail["email"],
            email_verified=True,
            name=used.detail["name"],
            admin=False,
            disabled=False,
            created_at=now,
            password_changed_at=now,
        )
        if not await records.users.add(user, used.detail["password_hash"]):
            return None  # another link of the same address was quicker
        await records.events.record(trace.of(request).event("user.created", user_id=user.id))
        return user

    async def _page(self, request: Request, link: Link, fault: Fault | None = None) -> Response:
        current = await self._desk.current(request)
        return self._desk.page(
            request,
            "signin/verify/page.html",
            subject=request.path_params["token"],
            status=400 if fault else 200,
            form_action=where_forms_lead(current),
            app=current[2].name if current else None,
            email=link.detail["email"],
            here=self._is_here(request, link),
            token=request.path_params["token"],
            fault=fault,
        )


def rows(desk: Desk) -> tuple[Route, ...]:
    page = Verify(desk)
    path = "/verify/{token}"
    return (
        Route(methods=("GET",), path=path, endpoint=page.show, who=Who.ANYONE),
        Route(methods=("POST",), path=path, endpoint=page.submit, who=Who.ANYONE, form=True, limit="30/minute"),
    )
