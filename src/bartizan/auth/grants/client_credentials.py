"""OAuth 2.1 §4.2: a client for itself. No person, no refresh token, no family."""

from __future__ import annotations

from uuid import UUID

from bartizan.auth import issue
from bartizan.auth.clients import AuthenticatedClient
from bartizan.auth.server import AuthServer
from bartizan.auth.trace import Trace
from bartizan.protocol.oauth import resources, scopes
from bartizan.protocol.oauth.errors import no
from bartizan.protocol.oauth.parameters import Parameters
from bartizan.protocol.oauth.responses import Issue
from bartizan.protocol.oauth.token import ClientCredentialsRequest, client_credentials_request


async def grant(parameters: Parameters, client: AuthenticatedClient, server: AuthServer, trace: Trace) -> Issue:
    """Stateless, so it writes no event: the metric of the endpoint counts it."""
    request = client_credentials_request(parameters)
    granted = check(request, client)
    default = server.settings.app_origin
    audience = resources.choose(request.resource, client.client.audience, default)
    mint = await issue.mint(server)
    return mint.for_client(client.id, server.ports.clock(), granted=granted, audience=audience)


def check(request: ClientCredentialsRequest, client: AuthenticatedClient) -> tuple[str, ...]:
    if not client.proven:
        raise no("unauthorized_client", "a public client cannot prove that it is itself")
    if _looks_like_a_person(client.id):
        raise no("unauthorized_client", "the client's id has the form of a person's")
    allowed = [name for name in client.client.scopes if name not in scopes.OIDC]
    return tuple(allowed) if request.scopes is None else scopes.within(request.scopes, allowed)


def _looks_like_a_person(client_id: str) -> bool:
    """RFC 9700 §4.15: a client must not be taken for a person; subjects of people are UUIDs."""
    try:
        UUID(client_id)
    except ValueError:
        return False
    return True
