"""Choose an account: the one signed in here, or another, which then signs in."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from bartizan.auth import proceed
from bartizan.auth.desk import Desk
from bartizan.auth.say import where_forms_lead
from bartizan.model.route import Route, Who
from bartizan.protocol.refusal import Refused
from bartizan.web.pages import see_other


class Choose:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def show(self, request: Request) -> Response:
        signed_in, current = await self._desk.signed_in(request), await self._desk.current(request)
        if signed_in is None:
            return see_other("/signin")
        return self._desk.page(
            request,
            "signin/choose/page.html",
            subject=str(signed_in[0].id),
            form_action=where_forms_lead(current),
            app=current[2].name if current else None,
            users=[signed_in[1]],
        )

    async def submit(self, request: Request) -> Response:
        signed_in, current = await self._desk.signed_in(request), await self._desk.current(request)
        fields = await self._desk.fields(request, str(signed_in[0].id) if signed_in else "")
        match fields.get("account"):
            case "other":
                return see_other("/signin?other=1")
            case "1" if signed_in is not None:
                if current is not None:
                    async with self._desk.ports.store.transaction() as records:
                        await records.interactions.set_user(current[0].id, signed_in[1].id)
                return await proceed.proceed(request, self._desk.ports, self._desk.settings)
        raise Refused("invalid_request", "Choose one of the accounts shown.", "account is not one of the list")


def rows(desk: Desk) -> tuple[Route, ...]:
    page = Choose(desk)
    return (
        Route(methods=("GET",), path="/select-account", endpoint=page.show, who=Who.SESSION),
        Route(methods=("POST",), path="/select-account", endpoint=page.submit, who=Who.SESSION, form=True),
    )
