"""The protocol endpoints: HTTP in, a value of `protocol` out. One row each."""

from __future__ import annotations

from bartizan.auth.endpoints.authorize import Authorize
from bartizan.auth.endpoints.ended import Ended
from bartizan.auth.endpoints.introspect import Introspect
from bartizan.auth.endpoints.par import Par
from bartizan.auth.endpoints.published import Jwks, Metadata
from bartizan.auth.endpoints.revoke import Revoke
from bartizan.auth.endpoints.token import Token
from bartizan.auth.endpoints.userinfo import Userinfo
from bartizan.auth.server import PATHS, AuthServer
from bartizan.model.route import Route, Who

_KB = 1024
_ROWS = "600/minute"  # where a stranger's request leaves a row behind


def routes(server: AuthServer) -> tuple[Route, ...]:
    metadata = Metadata(server)
    return (
        Route(
            methods=("GET", "POST"),
            path=PATHS.authorize,
            endpoint=Authorize(server),
            who=Who.ANYONE,
            body_limit=16 * _KB,
            limit=_ROWS,
        ),
        _for_clients(PATHS.token, Token(server), cors="clients"),
        _for_clients(PATHS.par, Par(server), limit=_ROWS),
        _for_clients(PATHS.revoke, Revoke(server), cors="clients"),
        _for_clients(PATHS.introspect, Introspect(server)),
        Route(
            methods=("GET", "POST"),
            path=PATHS.userinfo,
            endpoint=Userinfo(server),
            who=Who.TOKEN,
            scope="openid",
            body_limit=16 * _KB,
            cors="clients",
        ),
        _public(PATHS.jwks, Jwks(server)),
        _public(PATHS.openid, metadata),
        _public(PATHS.oauth, metadata),
        Route(methods=("GET",), path=PATHS.ended, endpoint=Ended(server), who=Who.ANYONE, body_limit=0, held=True),
    )


def _for_clients(path: str, endpoint: Token | Par | Revoke | Introspect, *, cors: str = "", limit: str = "") -> Route:
    return Route(
        methods=("POST",), path=path, endpoint=endpoint, who=Who.CLIENT, body_limit=16 * _KB, cors=cors, limit=limit
    )


def _public(path: str, endpoint: Jwks | Metadata) -> Route:
    return Route(methods=("GET",), path=path, endpoint=endpoint, who=Who.ANYONE, body_limit=0, cors="public")
