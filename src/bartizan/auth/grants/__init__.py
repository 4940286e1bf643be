"""One file a grant: parse, check, redeem. The token endpoint and discovery read this table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bartizan.auth.clients import AuthenticatedClient
from bartizan.auth.grants import authorization_code, client_credentials, refresh_token
from bartizan.auth.server import AuthServer
from bartizan.auth.trace import Trace
from bartizan.protocol.oauth.parameters import Parameters
from bartizan.protocol.oauth.responses import Issue

Grant = Callable[[Parameters, AuthenticatedClient, AuthServer, Trace], Awaitable[Issue]]

GRANTS: dict[str, Grant] = {
    "authorization_code": authorization_code.grant,
    "refresh_token": refresh_token.grant,
    "client_credentials": client_credentials.grant,
}
