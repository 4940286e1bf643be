"""Sign up. Nothing is made before the mailed link is used: the link's row carries name, address and password hash.

So nobody can plant an account under somebody else's address, and "start over" leaves nothing behind.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from bartizan.auth import passwords
from bartizan.auth.desk import Desk
from bartizan.auth.say import Fault, email_fault, name_fault, where_forms_lead
from bartizan.auth.signin import mailing
from bartizan.model.route import Route, Who
from bartizan.protocol.refusal import Refused


class SignUp:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def show(self, request: Request) -> Response:
        self._check_open()
        return await self._page(request)

    async def submit(self, request: Request) -> Response:
        self._check_open()
        fields = await self._desk.fields(request)
        name, email, password = fields.get("name").strip(), fields.get("email").strip(), fields.get("password")
        fault = name_fault(name) or email_fault(email) or _password_fault(password, name, email, self._desk)
        if fault is not None:
            return await self._page(request, name=name, email=email, fault=fault)
        await mailing.limit(self._desk, request, email)
        password_hash = await self._desk.ports.passwords.hash(password)
        async with self._desk.ports.store.transaction() as records:
            owner = await records.users.by_email(email)
            detail = {"email": email, "name": name, "password_hash": password_hash}
            made = mailing.link(self._desk, "already" if owner else "verify", owner, {} if owner else detail)
            await records.links.add(made)
            await mailing.send(self._desk, records, made)
        return mailing.to_check_mail(self._desk, "verify", email, made)

    def _check_open(self) -> None:
        if not self._desk.settings.open_sign_up:
            raise Refused("sign_up_closed", "Accounts are made by the people who run this site.", status=403)

    async def _page(self, request: Request, *, name: str = "", email: str = "", fault: Fault | None = None) -> Response:
        current = await self._desk.current(request)
        return self._desk.page(
            request,
            "signin/signup/page.html",
            status=400 if fault else 200,
            form_action=where_forms_lead(current),
            app=current[2].name if current else None,
            name=name,
            email=email,
            fault=fault,
        )


def _password_fault(password: str, name: str, email: str, desk: Desk) -> Fault | None:
    what = passwords.fault(password, name, email, desk.settings.site_name, desk.pages.site.host)
    return Fault("Choose another password.", what, "new-password") if what else None


def rows(desk: Desk) -> tuple[Route, ...]:
    page = SignUp(desk)
    return (
        Route(methods=("GET",), path="/signup", endpoint=page.show, who=Who.ANYONE),
        Route(methods=("POST",), path="/signup", endpoint=page.submit, who=Who.ANYONE, form=True, limit="30/minute"),
    )
