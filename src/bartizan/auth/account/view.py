"""The account page: all forms, one page. Each form's room renders it again with its fault."""

from __future__ import annotations

from msgspec import Struct
from starlette.responses import Response

from bartizan.auth.door import Visit
from bartizan.auth.rights import sees
from bartizan.auth.say import Fault, host
from bartizan.model.clients import Client, Consent
from bartizan.model.sessions import Session

# What a form did, said in its own section, to which the address leads.
SAID = {
    "name": ("profile", "Your name is changed."),
    "mailed": ("profile", "We sent a link to the new address. It counts once you open the link there."),
    "email": ("profile", "Your new address counts now."),
    "password": ("sign-in", "Your password is changed."),
    "session": ("sessions", "That session is ended."),
    "sessions": ("sessions", "Your other sessions are ended."),
    "app": ("apps", "That app’s access is ended."),
}


class App(Struct, frozen=True):
    client: Client
    consent: Consent
    host: str
    sees: str


async def show(visit: Visit) -> Response:
    return await page(visit)


async def page(
    visit: Visit, *, section: str = "", fault: Fault | None = None, name: str = "", email: str = ""
) -> Response:
    """`section`: whose form `fault` answers; `name`, `email`: what was typed into the profile."""
    desk, user = visit.desk, visit.user
    async with desk.ports.store.reading() as records:
        sessions = await records.sessions.of_user(user.id)
        consents = await records.consents.of_user(user.id)
        clients = {consent.client_id: await records.clients.by_id(consent.client_id) for consent in consents}
    apps = [
        App(client, consent, host(client), sees(consent.scopes, user, desk.settings))
        for consent in consents
        if (client := clients[consent.client_id]) is not None
    ]
    return desk.page(
        visit.request,
        "account/page.html",
        subject=visit.subject,
        status=400 if fault else 200,
        user=user,
        name=name or user.name,
        email=email or user.email,
        here=visit.session.id,
        sessions=_here_first(sessions, visit.session),
        apps=apps,
        section=section,
        fault=fault,
        said=SAID.get(visit.request.query_params.get("said", ""), ("", "")),
    )


def _here_first(sessions: list[Session], here: Session) -> list[Session]:
    return sorted(sessions, key=lambda session: session.id != here.id)
