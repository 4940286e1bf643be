"""RFC 7009: `/revoke`. A client gives back a token of its own; of any other it learns nothing, and nothing changes."""

from __future__ import annotations

from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from bartizan.auth import trace
from bartizan.auth.endpoints import form
from bartizan.auth.server import AuthServer
from bartizan.auth.trace import Trace
from bartizan.protocol.oauth import refresh
from bartizan.protocol.oauth.access import AccessToken
from bartizan.protocol.oauth.presented_token import presented_token


class Revoke:
    def __init__(self, server: AuthServer) -> None:
        self._server = server

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
        async with self._server.ports.store.transaction() as records:
            await records.ended.add(gid)
            await records.events.record(trace.event("token.revoked", client_id=token.client_id, gid=gid))

    async def _end_family(self, family_id: UUID, client_id: str, trace: Trace) -> None:
        async with self._server.ports.store.transaction() as records:
            family = await records.families.by_id(family_id)
            if family is None or family.client_id != client_id:
                return
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
