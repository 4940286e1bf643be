"""RFC 7009: `/revoke`. A client gives back a token of its own; of any other it learns nothing, and nothing changes.

Each is an entry on the list that every gateway and guard reads, and 20,000 of them change the signing key for all
(flows §7). So what one client holds of one person, or by itself, is counted: more than anybody signs out of while
an entry stays is told to come again later, while other people's at that client, and that person's at others, go on.
"""

from __future__ import annotations

from math import ceil
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from bartizan.auth import attempts, trace
from bartizan.auth.endpoints import form
from bartizan.auth.server import AuthServer
from bartizan.auth.trace import Trace
from bartizan.model.ended import listed_seconds
from bartizan.model.limit import Limit, Try
from bartizan.protocol.oauth import refresh
from bartizan.protocol.oauth.access import AccessToken
from bartizan.protocol.oauth.errors import no
from bartizan.protocol.oauth.presented_token import presented_token

_BY_PERSON = 300  # while an entry stays on the list
_BY_CLIENT = 2_000


class Revoke:
    def __init__(self, server: AuthServer) -> None:
        self._server = server
        stays = listed_seconds(server.settings.access_token_lifetime)
        self._by_person, self._by_client = Limit(_BY_PERSON, stays), Limit(_BY_CLIENT, stays)

    async def __call__(self, request: Request) -> Response:
        sent = await form.parameters(request)
        client = await form.client(request, sent, self._server)
        token = presented_token(sent).token
        if token.startswith(refresh.PREFIX):
            await self._refresh_token(token, client.id, trace.of(request))
        else:
            access = await self._server.read_access_token(token)
            if access is not None and access.client_id == client.id:
                await self._access_token(access, trace.of(request))
        return Response(status_code=200, headers={"cache-control": "no-store"})

    async def _refresh_token(self, text: str, client_id: str, trace: Trace) -> None:
        """§2.1: with its access tokens. Any generation will do: who has an old one may also end it."""
        token = refresh.decode(self._server.refresh_ring, text)
        if token is not None:
            await self._end_family(token.family, client_id, trace)

    async def _access_token(self, token: AccessToken, trace: Trace) -> None:
        """§2.1: with the refresh token of the same grant. One without a family ends alone."""
        gid = UUID(token.gid)
        if token.gid != token.jti:
            await self._end_family(gid, token.client_id, trace)
            return
        await self._count(Try("revoke.client", token.client_id, self._by_client))
        async with self._server.ports.store.transaction() as records:
            await records.ended.add(gid)
            await records.events.record(trace.event("token.revoked", client_id=token.client_id, gid=gid))

    async def _end_family(self, family_id: UUID, client_id: str, trace: Trace) -> None:
        async with self._server.ports.store.reading() as records:
            family = await records.families.by_id(family_id)
        if family is None or family.client_id != client_id:
            return
        if not family.bff:  # the app's own sign-out is never refused, and each took a sign-in
            await self._count(Try("revoke.person", f"{client_id} {family.user_id}", self._by_person))
        async with self._server.ports.store.transaction() as records:
            if not await records.families.end(family_id, "token.revoked"):
                return  # the same request, twice at once: the other one ended and noted it
            event = trace.event(
                "token.revoked",
                user_id=family.user_id,
                client_id=client_id,
                session_id=family.session_id,
                gid=family_id,
            )
            await records.events.record(event)

    async def _count(self, one: Try) -> None:
        """RFC 7009 §2.2.1: the client must assume that the token is still good, and may ask again after a while."""
        ports = self._server.ports
        again = await attempts.take(ports, one)
        if again is not None:
            wait = max(1, ceil((again - ports.clock()).total_seconds()))
            raise no("slow_down", f"{one.what} limited", headers=(("Retry-After", str(wait)),))
