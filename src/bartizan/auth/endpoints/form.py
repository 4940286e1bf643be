"""From a Starlette request to the values of `protocol/oauth`: parameters and the authenticated client."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from bartizan.auth import clients, trace
from bartizan.auth.clients import AuthenticatedClient
from bartizan.auth.server import AuthServer
from bartizan.protocol.oauth import parameters as oauth_parameters
from bartizan.protocol.oauth.credentials import presented
from bartizan.protocol.oauth.parameters import Parameters
from bartizan.protocol.oauth.responses import Answer


async def parameters(request: Request) -> Parameters:
    """Of a POST."""
    return oauth_parameters.from_form(
        request.headers.getlist("content-type"), await request.body(), request.scope["query_string"]
    )


async def client(request: Request, sent: Parameters, server: AuthServer) -> AuthenticatedClient:
    claimed = presented(request.headers.getlist("authorization"), sent)
    return await clients.authenticate(claimed, server, trace.of(request))


def respond(answer: Answer) -> Response:
    return Response(answer.body, answer.status, dict(answer.headers), media_type="application/json")
