"""The account pages, a row each."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from bartizan.auth.account import apps, password, profile, sessions, view
from bartizan.auth.account.email import page as email
from bartizan.auth.desk import Desk
from bartizan.auth.door import Handler, signed_in
from bartizan.model.route import Route, Who
from bartizan.web.pages import see_other

PAGES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/account", view.show),
    ("POST", "/account/profile", profile.save),
    ("POST", "/account/password", password.change),
    ("POST", "/account/sessions/end-others", sessions.end_others),
    ("POST", "/account/sessions/{session_id}/end", sessions.end),
    ("POST", "/account/apps/{client_id}/end", apps.end),
    ("GET", "/account/email/{token}", email.show),
    ("POST", "/account/email/{token}", email.confirm),
)


def routes(desk: Desk) -> tuple[Route, ...]:
    rows = tuple(
        Route(
            methods=(method,),
            path=path,
            endpoint=signed_in(desk, handler),
            who=Who.SESSION,
            form=method == "POST",
            limit="60/minute" if method == "POST" else "",
        )
        for method, path, handler in PAGES
    )
    well_known = Route(methods=("GET",), path="/.well-known/change-password", endpoint=_change_password, who=Who.ANYONE)
    front = Route(methods=("GET",), path="/", endpoint=_front, who=Who.ANYONE)
    return (*rows, well_known, front)


async def _front(request: Request) -> Response:
    """Who types the bare host wants the account; signed out, that leads to the sign-in page."""
    return see_other("/account")


async def _change_password(request: Request) -> Response:
    """W3C "A Well-Known URL for Changing Passwords": where password managers send people."""
    return see_other("/account#sign-in")
