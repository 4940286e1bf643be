"""OAuth 2.1 §3.2: `/token`. Who is it, may it, then the grant's own file; one refusal for all that went wrong."""

from __future__ import annotations

import structlog
from starlette.requests import Request

from bartizan.auth import trace
from bartizan.auth.endpoints import form
from bartizan.auth.grants import GRANTS
from bartizan.auth.server import AuthServer
from bartizan.protocol.oauth.errors import no
from bartizan.protocol.oauth.responses import token_answer
from bartizan.protocol.refusal import Replayed
from bartizan.web.ready import Ready

log = structlog.get_logger()


class Token:
    def __init__(self, server: AuthServer) -> None:
        self._server = server

    async def __call__(self, request: Request) -> Ready:
        sent = await form.parameters(request)
        name = sent.require("grant_type", longest=128)
        whose = trace.of(request)
        client = await form.client(request, sent, self._server, whose)
        grant = GRANTS.get(name)
        if grant is None:
            raise no("unsupported_grant_type", "not in the table of grants")
        if name not in client.client.grants:
            raise no("unauthorized_client", f"the client may not use {name}")
        try:
            issue = await grant(sent, client, self._server, whose)
        except Replayed as replayed:
            # Here alone. What it bought has ended, and that is committed; the thief is told what a typo is told.
            log.warning("replayed", gid=str(replayed.family), client=client.id, note=replayed.note)
            self._server.ports.meter.count("replayed", grant=name)
            raise no("invalid_grant", replayed.note) from None
        self._server.ports.meter.count("tokens_issued", grant=name)
        return form.respond(token_answer(issue))
