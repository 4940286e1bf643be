"""What anybody may read: the signing keys (RFC 7517 §5) and the two metadata documents (RFC 8414, OIDC Discovery)."""

from __future__ import annotations

import msgspec
from starlette.requests import Request

from bartizan.auth.grants import GRANTS
from bartizan.auth.server import PATHS, AuthServer
from bartizan.protocol.oauth import metadata, scopes
from bartizan.protocol.oidc import claims
from bartizan.web.ready import Ready, pairs

# Shorter than a new key is published ahead, so that nobody meets a token before its key.
_CACHED = {"cache-control": "public, max-age=60"}
_KEYS = pairs(_CACHED, "application/jwk-set+json")
_DOCUMENT = pairs(_CACHED, "application/json")


class Jwks:
    def __init__(self, server: AuthServer) -> None:
        self._server = server

    async def __call__(self, request: Request) -> Ready:
        body = await self._server.keys.jwks()
        return Ready(200, _KEYS, body)


class Metadata:
    """Built once: nothing of it changes while the server runs."""

    def __init__(self, server: AuthServer) -> None:
        settings = server.settings
        document = metadata.document(
            settings.issuer,
            PATHS,
            grants=list(GRANTS),
            scopes=[*scopes.OIDC, *settings.scopes],
            claims=claims.SUPPORTED,
            algorithm=settings.signing_algorithm,
        )
        self._body = msgspec.json.encode(document)

    async def __call__(self, request: Request) -> Ready:
        return Ready(200, _DOCUMENT, self._body)
