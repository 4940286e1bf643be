"""OAuth 2.1 §4.1.1: `/authorize`. A checked request goes on to the first page, or straight back with a code."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bartizan.auth import proceed
from bartizan.auth.endpoints import form
from bartizan.auth.server import AuthServer
from bartizan.model.clients import Client
from bartizan.protocol import secrets
from bartizan.protocol.oauth import answers, authorize
from bartizan.protocol.oauth.authorize import AuthorizationRequest, SentBack
from bartizan.protocol.oauth.errors import no
from bartizan.protocol.oauth.parameters import Parameters, from_query


class Authorize:
    def __init__(self, server: AuthServer) -> None:
        self._server = server

    async def __call__(self, request: Request) -> Response:
        """Any fault before client and redirect URI are known is a page of our own (RFC 9700 §4.11.2)."""
        if request.method == "POST":  # OIDC Core §3.1.2.1: both
            sent = await form.parameters(request)
        else:
            sent = from_query(request.scope["query_string"])
        client = await self._client(authorize.client_id(sent))
        ports, settings = self._server.ports, self._server.settings
        try:
            asked = await self._asked(request, sent, client)
        except SentBack as refused:
            return self._back(refused)
        if asked is None:
            return await proceed.proceed(request, ports, settings)
        return await proceed.begin(request, ports, settings, asked, client)

    async def _client(self, client_id: str) -> Client:
        client = await self._server.ports.store.lookups.client(client_id)
        if client is None or client.disabled:
            raise no("invalid_request", "unknown or disabled client")
        return client

    async def _asked(self, request: Request, sent: Parameters, client: Client) -> AuthorizationRequest | None:
        """None: a reload of an address whose authorization is under way in this browser."""
        reference = authorize.reference(sent)
        if reference is None:
            return authorize.check(sent, client, default_audience=self._server.settings.app_origin, pushed=False)
        return await self._pushed(request, reference, client)

    async def _pushed(self, request: Request, reference: str, client: Client) -> AuthorizationRequest | None:
        """RFC 9126 §4: a request_uri is opened once. What was checked then needs no check now."""
        fingerprint = secrets.fingerprint(reference)
        name = secrets.to_base64url(fingerprint)
        async with self._server.ports.store.reading() as records:
            # failpoint: authorize.take
            pushed = await records.pushed.take(fingerprint, client.id)
            # failpoint: authorize.taken
        if pushed is not None:
            return msgspec.structs.replace(authorize.unpack(pushed.request), reference=name)
        under_way = await proceed.current(request, self._server.ports, self._server.settings)
        if under_way is None or under_way[1].reference != name or under_way[2].id != client.id:
            raise no("invalid_request", "the request_uri is unknown, late or was opened before")
        return None

    def _back(self, refused: SentBack) -> Response:
        location = answers.refused(
            refused.redirect, error=refused.code, state=refused.state, issuer=self._server.settings.issuer
        )
        return RedirectResponse(location, 303, {"cache-control": "no-store"})
