"""Signed out: says what is true, offers two ways on."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from bartizan.auth.desk import Desk
from bartizan.model.route import Route, Who


class SignedOut:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def show(self, request: Request) -> Response:
        still = await self._desk.signed_in(request)
        return self._desk.page(request, "signin/leave/signed-out.html", still=still[1] if still else None)


def rows(desk: Desk) -> tuple[Route, ...]:
    page = SignedOut(desk)
    return (Route(methods=("GET",), path="/signed-out", endpoint=page.show, who=Who.ANYONE),)
