"""RFC 9126: `/par`. The client proves itself and pushes its request; the browser carries only a reference."""

from __future__ import annotations

from datetime import timedelta

from starlette.requests import Request

from bartizan.auth.endpoints import form
from bartizan.auth.server import AuthServer
from bartizan.model.codes import Pushed
from bartizan.protocol import secrets
from bartizan.protocol.oauth import authorize
from bartizan.protocol.oauth.errors import no
from bartizan.protocol.oauth.responses import json_answer
from bartizan.web.ready import Ready

PREFIX = "bzp_"
SECONDS = 60


class Par:
    def __init__(self, server: AuthServer) -> None:
        self._server = server

    async def __call__(self, request: Request) -> Ready:
        sent = await form.parameters(request)
        client = await form.client(request, sent, self._server)
        if sent.get("request_uri"):
            raise no("invalid_request", "a pushed request names no request_uri (§2.1)")
        asked = authorize.check(sent, client.client, default_audience=self._server.settings.app_origin, pushed=True)
        ports = self._server.ports
        secret = secrets.new_secret(PREFIX, ports.chance(secrets.KEY_BYTES))
        pushed = Pushed(
            client_id=client.id,
            request=authorize.pack(asked),
            expires_at=ports.clock() + timedelta(seconds=SECONDS),
        )
        async with ports.store.reading() as records:
            # failpoint: par.push
            await records.pushed.add(secrets.fingerprint(secret), pushed)
            # failpoint: par.pushed
        return form.respond(json_answer({"request_uri": authorize.REFERENCE + secret, "expires_in": SECONDS}, 201))
