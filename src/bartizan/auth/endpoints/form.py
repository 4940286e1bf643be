"""From a Starlette request to the values of `protocol/oauth`: parameters and the authenticated client."""

from __future__ import annotations

from starlette.requests import Request

from bartizan.auth import clients, trace
from bartizan.auth.clients import AuthenticatedClient
from bartizan.auth.server import AuthServer
from bartizan.auth.trace import Trace
from bartizan.protocol.oauth import parameters as oauth_parameters
from bartizan.protocol.oauth.credentials import presented
from bartizan.protocol.oauth.parameters import Parameters
from bartizan.protocol.oauth.responses import NO_STORE, Answer
from bartizan.web.body import whole
from bartizan.web.headers import every
from bartizan.web.ready import Ready, pairs


async def parameters(request: Request) -> Parameters:
    """Of a POST."""
    return oauth_parameters.from_form(
        every(request.scope, b"content-type"), await whole(request), request.scope["query_string"]
    )


async def client(
    request: Request, sent: Parameters, server: AuthServer, whose: Trace | None = None
) -> AuthenticatedClient:
    claimed = presented(every(request.scope, b"authorization"), sent)
    return await clients.authenticate(claimed, server, whose or trace.of(request))


def respond(answer: Answer) -> Ready:
    headers = _USUAL if answer.headers is NO_STORE else pairs(answer.headers, _JSON)
    return Ready(answer.status, headers, answer.body)


_JSON = "application/json"
_USUAL = pairs(NO_STORE, _JSON)
