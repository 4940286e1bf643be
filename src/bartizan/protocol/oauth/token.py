"""OAuth 2.1 §3.2.2: the token request, one value a grant. What is not named here is not read."""

from __future__ import annotations

from msgspec import Struct

from bartizan.protocol.oauth import pkce, scopes
from bartizan.protocol.oauth.errors import no
from bartizan.protocol.oauth.parameters import Parameters

LONGEST_TOKEN = 4096


class CodeRequest(Struct, frozen=True):
    """§4.1.3"""

    code: str
    verifier: str
    redirect_uri: str | None  # OAuth 2.0 clients send it, 2.1 clients need not
    resource: tuple[str, ...]


class RefreshRequest(Struct, frozen=True):
    """§4.3.1"""

    token: str
    scopes: tuple[str, ...] | None  # None: all that was granted
    resource: tuple[str, ...]


class ClientCredentialsRequest(Struct, frozen=True):
    """§4.2.1"""

    scopes: tuple[str, ...] | None
    resource: tuple[str, ...]


def code_request(parameters: Parameters) -> CodeRequest:
    code = parameters.require("code", longest=LONGEST_TOKEN)
    verifier = parameters.require("code_verifier")
    if not pkce.is_verifier(verifier):
        raise no("invalid_request", "code_verifier is not 43 to 128 unreserved characters")
    return CodeRequest(code, verifier, parameters.get("redirect_uri"), parameters.resource)


def refresh_request(parameters: Parameters) -> RefreshRequest:
    token = parameters.require("refresh_token", longest=LONGEST_TOKEN)
    return RefreshRequest(token, _scopes(parameters), parameters.resource)


def client_credentials_request(parameters: Parameters) -> ClientCredentialsRequest:
    return ClientCredentialsRequest(_scopes(parameters), parameters.resource)


def _scopes(parameters: Parameters) -> tuple[str, ...] | None:
    text = parameters.get("scope", longest=scopes.LONGEST)
    return None if text is None else scopes.parse(text)
