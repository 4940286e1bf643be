"""Sign out: an app asks at `/logout` (OIDC RP-Initiated Logout), the person decides, `/signed-out` says what is true.

An app that holds an ID token of this very session needs no question; anybody else's link only opens the page.
"""

from __future__ import annotations

from urllib.parse import urlencode

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from bartizan.auth import signout, sso
from bartizan.auth.desk import Desk
from bartizan.auth.say import host, place
from bartizan.auth.signout import SignOut
from bartizan.model.clients import Client
from bartizan.model.route import Route, Who
from bartizan.model.sessions import Session
from bartizan.model.users import User
from bartizan.protocol.oauth.parameters import Parameters, from_query
from bartizan.web import body
from bartizan.web.pages import see_other

# What the confirm form carries on, to be checked again when it is posted.
CARRIED = ("id_token_hint", "client_id", "post_logout_redirect_uri", "state")
# Not "cookies": that would clear sibling apps too (flows §1, §11).
_CLEAR = '"cache", "storage"'


class Ends(Struct, frozen=True):
    """Apps by name and host: those that end with this session, and those that hang on consent and stay."""

    apps: list[tuple[str, str]]
    staying: list[str]


class Leave:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def ask(self, request: Request) -> Response:
        found = await self._desk.signed_in(request)
        sent = from_query(request.scope["query_string"])
        wish = await self._read(sent, found)
        if found is None:
            return self._gone(wish)
        if wish.proven:
            return await self._end(request, found[0], wish)
        ends = await self._ends(*found)
        return self._desk.page(
            request,
            "signin/leave/page.html",
            subject=str(found[0].id),
            form_action=(place(wish.back.location),) if wish.back else (),
            user=found[1],
            ends=ends,
            carried=[(name, value) for name in CARRIED if (value := sent.get(name))],
        )

    async def posted(self, request: Request) -> Response:
        """RPs may POST, but from another site no Lax cookie comes along; with the GET that follows it does."""
        fields = await body.form(request)
        kept = {name: value for name in CARRIED if (value := fields.get(name))}
        return see_other("/logout" + (f"?{urlencode(kept)}" if kept else ""))

    async def submit(self, request: Request) -> Response:
        found = await self._desk.signed_in(request)
        fields = await self._desk.fields(request, str(found[0].id) if found else "")
        kept = Parameters({name: value for name in CARRIED if (value := fields.get(name))})
        wish = await self._read(kept, found)
        if found is None:
            return self._gone(wish)
        if fields.get("decision") != "end":
            return see_other("/account")
        return await self._end(request, found[0], wish)

    async def signed_out(self, request: Request) -> Response:
        still = await self._desk.signed_in(request)
        return self._desk.page(request, "signin/leave/signed-out.html", still=still[1] if still else None)

    async def _read(self, sent: Parameters, found: tuple[Session, User] | None) -> SignOut:
        return await signout.read(sent, found[0] if found else None, self._desk.ports, self._desk.settings)

    async def _end(self, request: Request, session: Session, wish: SignOut) -> Response:
        client_id = wish.client.id if wish.client else None
        async with self._desk.ports.store.transaction() as records:
            await signout.sign_out(records, session, request, client_id=client_id)
        return self._gone(wish)

    def _gone(self, wish: SignOut) -> Response:
        to = wish.back.location if wish.back else "/signed-out"
        response = see_other(to, (sso.end_session_cookie(self._desk.settings),))
        response.headers["clear-site-data"] = _CLEAR
        return response

    async def _ends(self, session: Session, user: User) -> Ends:
        async with self._desk.ports.store.reading() as records:
            families = await records.families.of_user(user.id)
            clients = {family.client_id: await records.clients.by_id(family.client_id) for family in families}
        ending = {family.client_id for family in families if family.session_id == session.id}
        staying = {family.client_id for family in families if family.session_id is None} - ending
        return Ends(
            apps=[(client.name, host(client)) for client in _known(clients, ending)],
            staying=[client.name for client in _known(clients, staying)],
        )


def _known(clients: dict[str, Client | None], ids: set[str]) -> list[Client]:
    return [client for client_id in sorted(ids) if (client := clients[client_id]) is not None]


def rows(desk: Desk) -> tuple[Route, ...]:
    page = Leave(desk)
    return (
        Route(methods=("GET",), path="/logout", endpoint=page.ask, who=Who.ANYONE),
        Route(methods=("POST",), path="/logout", endpoint=page.posted, who=Who.ANYONE),
        Route(methods=("POST",), path="/sign-out", endpoint=page.submit, who=Who.SESSION, form=True),
        Route(methods=("GET",), path="/signed-out", endpoint=page.signed_out, who=Who.ANYONE),
    )
