"""Cancel, on the sign-in page: the person does not go on; the app is told `access_denied`."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from bartizan.auth import proceed
from bartizan.auth.desk import Desk
from bartizan.model.route import Route, Who
from bartizan.web.pages import see_other


class Cancel:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def submit(self, request: Request) -> Response:
        await self._desk.fields(request)
        if await self._desk.current(request) is None:
            return see_other("/signin")
        return await proceed.deny(request, self._desk.ports, self._desk.settings)


def rows(desk: Desk) -> tuple[Route, ...]:
    page = Cancel(desk)
    return (Route(methods=("POST",), path="/cancel", endpoint=page.submit, who=Who.ANYONE, form=True),)
