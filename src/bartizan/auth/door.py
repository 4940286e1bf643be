"""Who may enter: pages for people who are signed in, and for administrators. Route rows say which; this keeps it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import quote

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from bartizan.auth.desk import Desk
from bartizan.model.sessions import Session
from bartizan.model.users import User
from bartizan.protocol.refusal import Refused
from bartizan.web.body import Fields
from bartizan.web.pages import see_other

Endpoint = Callable[[Request], Awaitable[Response]]


class Visit(Struct, frozen=True):
    """A request of somebody signed in. Forms in it are bound to this session."""

    desk: Desk
    request: Request
    session: Session
    user: User

    @property
    def subject(self) -> str:
        return str(self.session.id)

    async def fields(self) -> Fields:
        return await self.desk.fields(self.request, self.subject)

    def param(self, name: str) -> str:
        return str(self.request.path_params[name])


Handler = Callable[[Visit], Awaitable[Response]]


def signed_in(desk: Desk, handler: Handler) -> Endpoint:
    async def enter(request: Request) -> Response:
        desk.forms.check_origin(request)  # before all else: another site's form is refused, not sent to sign in
        found = await desk.signed_in(request)
        if found is None:
            return _to_sign_in(request)
        return await handler(Visit(desk, request, *found))

    return enter


def administrator(desk: Desk, handler: Handler) -> Endpoint:
    async def enter(visit: Visit) -> Response:
        if not visit.user.admin:
            raise Refused("forbidden", "This page is for administrators.", "not an administrator", status=403)
        return await handler(visit)

    return signed_in(desk, enter)


def _to_sign_in(request: Request) -> Response:
    """Then back to the page that was asked for; what a form said is not kept."""
    path: str = request.scope["path"]  # not `request.url`, which fails on a query that is not UTF-8
    if request.method not in ("GET", "HEAD"):
        path = "/" + path.split("/")[1]
    return see_other(f"/signin?next={quote(path)}")
