"""RFC 7662: `/introspect`, for clients that proved themselves. Ended, foreign and malformed tokens look the same."""

from __future__ import annotations

from uuid import UUID

from starlette.requests import Request

from bartizan.auth.clients import AuthenticatedClient
from bartizan.auth.endpoints import form
from bartizan.auth.server import AuthServer
from bartizan.protocol.oauth import introspection, refresh
from bartizan.protocol.oauth.errors import no
from bartizan.protocol.oauth.presented_token import presented_token
from bartizan.protocol.oauth.responses import json_answer
from bartizan.web.ready import Ready


class Introspect:
    def __init__(self, server: AuthServer) -> None:
        self._server = server

    async def __call__(self, request: Request) -> Ready:
        sent = await form.parameters(request)
        client = await form.client(request, sent, self._server)
        if not client.proven:
            raise no("invalid_client", "a public client may not introspect (§2.1)")
        token = presented_token(sent).token
        if token.startswith(refresh.PREFIX):
            answer = await self._refresh_token(token, client)
        else:
            answer = await self._access_token(token, client)
        return form.respond(json_answer(answer))

    async def _access_token(self, text: str, client: AuthenticatedClient) -> dict[str, object]:
        token = await self._server.read_access_token(text)
        if token is None or not introspection.may_ask(client.client, token):
            return introspection.INACTIVE
        standing = await self._server.ports.store.lookups.standing(UUID(token.gid), None)
        return introspection.INACTIVE if standing.ended else introspection.of_access_token(token)

    async def _refresh_token(self, text: str, client: AuthenticatedClient) -> dict[str, object]:
        """Active means: presented at the token endpoint it would be honoured; its own client alone may ask. What else
        of a burst of tabs is honoured for a while is superseded, and told so."""
        token = refresh.decode(self._server.refresh_ring, text)
        if token is None or token.epoch != await self._server.ports.store.epoch():
            return introspection.INACTIVE
        async with self._server.ports.store.reading() as records:
            family = await records.families.by_id(token.family)
        if family is None or family.client_id != client.id:
            return introspection.INACTIVE
        if family.generation - token.generation not in (0, 1):  # 1: its successor may have been lost on the way (F§6)
            return introspection.INACTIVE
        return introspection.of_refresh_token(
            issuer=self._server.settings.issuer,
            subject=str(family.user_id),
            client_id=family.client_id,
            granted=family.scopes,
            issued_at=int(family.rotated_at.timestamp()),
            expires_at=int(min(family.idle_until, family.absolute_until).timestamp()),
        )
