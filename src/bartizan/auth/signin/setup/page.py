"""The first administrator, by the one-time link on the card. Dead as soon as there is one."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from bartizan.auth import links, passwords, proceed, sso, trace
from bartizan.auth.desk import Desk
from bartizan.auth.say import Fault, email_fault, name_fault
from bartizan.auth.signin.dead import dead
from bartizan.model.codes import Link
from bartizan.model.route import Route, Who
from bartizan.model.users import User

KIND = "setup"


class Setup:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def show(self, request: Request) -> Response:
        return dead(self._desk, request) if await self._peek(request) is None else self._page(request)

    async def submit(self, request: Request) -> Response:
        fields = await self._desk.fields(request, request.path_params["token"])
        link = await self._peek(request)
        if link is None:
            return dead(self._desk, request)
        name, email, password = fields.get("name").strip(), fields.get("email").strip(), fields.get("password")
        what = passwords.fault(password, name, email, self._desk.settings.site_name)
        weak = Fault("Choose another password.", what, "new-password") if what else None
        fault = name_fault(name) or email_fault(email) or weak
        if fault is not None:
            return self._page(request, name, email, fault)
        password_hash = await self._desk.ports.passwords.hash(password)
        return await self._make(request, link, name, email, password_hash)

    async def _make(self, request: Request, link: Link, name: str, email: str, password_hash: str) -> Response:
        ports, settings, now = self._desk.ports, self._desk.settings, self._desk.ports.clock()
        user = User(
            id=self._desk.new_id(),
            email=email,
            email_verified=True,  # by who holds the card: the machine's operator
            name=name,
            admin=True,
            disabled=False,
            created_at=now,
            password_changed_at=now,
        )
        async with ports.store.transaction() as records:
            if await records.users.any_admin():
                return dead(self._desk, request)
            if await records.users.by_email(email) is not None:
                taken = Fault("An account has this address already.", "Choose another address.", "email")
                return self._page(request, name, email, taken)
            if await records.links.use(link.id, KIND) is None or not await records.users.add(user, password_hash):
                return dead(self._desk, request)
            for code in ("user.created", "admin.granted"):
                await records.events.record(trace.of(request).event(code, user_id=user.id))
            signed_in = await sso.start_session(records, user, request, ports, settings)
        return await proceed.proceed(request, ports, settings, signed_in=signed_in, home="/admin")

    async def _peek(self, request: Request) -> Link | None:
        link_id = links.read(self._desk.links, KIND, request.path_params["token"])
        if link_id is None:
            return None
        async with self._desk.ports.store.reading() as records:
            link = await records.links.peek(link_id, KIND)
            return None if link is None or await records.users.any_admin() else link

    def _page(self, request: Request, name: str = "", email: str = "", fault: Fault | None = None) -> Response:
        return self._desk.page(
            request,
            "signin/setup/page.html",
            subject=request.path_params["token"],
            status=400 if fault else 200,
            token=request.path_params["token"],
            name=name,
            email=email,
            fault=fault,
        )


def rows(desk: Desk) -> tuple[Route, ...]:
    page = Setup(desk)
    path = "/setup/{token}"
    return (
        Route(methods=("GET",), path=path, endpoint=page.show, who=Who.ANYONE),
        Route(methods=("POST",), path=path, endpoint=page.submit, who=Who.ANYONE, form=True, limit="30/minute"),
    )
