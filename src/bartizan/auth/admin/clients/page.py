"""Clients: list; one client with what it may ask for. Those of the file are read-only here (design §6)."""

from __future__ import annotations

from starlette.responses import Response

from bartizan.auth import trace
from bartizan.auth.admin import console
from bartizan.auth.door import Visit
from bartizan.auth.rights import OIDC_TEXT
from bartizan.auth.say import host
from bartizan.model.clients import AuthMethod, Client, Kind, Mode
from bartizan.model.store import Records
from bartizan.protocol.refusal import Refused
from bartizan.web.pages import see_other

FILE = "file"
KINDS = {
    Kind.BROWSER: "A site behind the frontend server, which keeps its secret",
    Kind.SERVER: "A server, keeps a secret",
    Kind.NATIVE: "An app on a device, keeps no secret",
    Kind.AGENT: "A program that acts for itself",
}
PROOFS = {
    AuthMethod.BASIC: "Secret, in the Authorization header",
    AuthMethod.POST: "Secret, in the body",
    AuthMethod.NONE: "Nothing but PKCE",
}
MODES = {Mode.COOKIE: "In an HttpOnly cookie", Mode.MEMORY: "In script’s memory"}
SAID = {"disabled": "Disabled. What it held is ended.", "enabled": "Enabled. It may ask again."}


async def all_of_them(visit: Visit) -> Response:
    async with visit.desk.ports.store.reading() as records:
        clients = await records.clients.all()
    rows = [(client, host(client)) for client in clients]
    return await console.page(visit, "clients", "admin/clients/list.html", clients=rows)


async def show(visit: Visit) -> Response:
    async with visit.desk.ports.store.reading() as records:
        client = await _known(visit, records)
        events = await console.tell(records, await records.events.latest(limit=8, client_id=client.id))
    scopes = visit.desk.settings.scopes
    return await console.page(
        visit,
        "clients",
        "admin/clients/page.html",
        client=client,
        host=host(client),
        kind=KINDS[client.kind],
        proof=PROOFS[client.auth_method],
        mode=MODES[client.mode] if client.kind is Kind.BROWSER else None,
        rights=[(scope, scopes[scope].can if scope in scopes else OIDC_TEXT.get(scope, "")) for scope in client.scopes],
        of_file=client.owner == FILE,
        events=events,
        said=SAID.get(visit.request.query_params.get("said", "")),
    )


async def ask_disable(visit: Visit) -> Response:
    async with visit.desk.ports.store.reading() as records:
        client = _of_console(await _known(visit, records))
    return await console.page(visit, "clients", "admin/clients/disable.html", client=client, host=host(client))


async def disable(visit: Visit) -> Response:
    return await _set(visit, disabled=True)


async def enable(visit: Visit) -> Response:
    return await _set(visit, disabled=False)


async def _set(visit: Visit, *, disabled: bool) -> Response:
    await visit.fields()
    async with visit.desk.ports.store.transaction() as records:
        client = _of_console(await _known(visit, records))
        done, by = "disabled" if disabled else "enabled", {"by": str(visit.user.id)}
        if await records.clients.set_disabled(client.id, disabled):
            await records.events.record(trace.of(visit.request).event(f"client.{done}", client_id=client.id, detail=by))
    return see_other(f"/admin/clients/{client.id}?said={done}")


async def _known(visit: Visit, records: Records) -> Client:
    client = await records.clients.by_id(visit.param("client_id"))
    if client is None:
        raise Refused("not_found", "There is no such client.", status=404)
    return client


def _of_console(client: Client) -> Client:
    if client.owner == FILE:
        tell = f"{client.name} belongs to bartizan.toml. Change it there, then start again."
        raise Refused("owned_by_file", tell, "a client of the file", status=409)
    return client
