"""Fetch standard §3.2 (CORS): two kinds of openness, and no third.

`NamedOrigins` lists exact origins and may allow credentials; `PublicRead` is open to all and has no field for
credentials, so "`*` with credentials" cannot be written. The headers belong on every answer, errors too.
"""

from __future__ import annotations

from msgspec import Struct

from bartizan.protocol.web import origins

Headers = tuple[tuple[str, str], ...]

_VARY = ("Vary", "Origin")


class NamedOrigins(Struct, frozen=True, kw_only=True):
    """These origins, letter by letter. Bearer tokens need no `credentials`, which means cookies."""

    origins: tuple[str, ...]
    methods: tuple[str, ...] = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
    headers: tuple[str, ...] = ("Authorization", "Content-Type")
    expose: tuple[str, ...] = ("WWW-Authenticate",)
    max_age: int = 600
    credentials: bool = False

    def __post_init__(self) -> None:
        for origin in self.origins:
            if str(origins.parse(origin)) != origin:
                raise ValueError(f"browsers write the origin {origin!r} as {origins.parse(origin)}")


class PublicRead(Struct, frozen=True, kw_only=True):
    """Anybody may read, nobody as somebody: no cookies, no token of a signed-in page."""

    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    max_age: int = 86400


Cors = NamedOrigins | PublicRead


def response_headers(policy: Cors | None, origin: str | None) -> Headers:
    """For every answer of the route, whatever its status."""
    match policy:
        case PublicRead():
            return (("Access-Control-Allow-Origin", "*"), *_list("Access-Control-Expose-Headers", policy.expose))
        case NamedOrigins() if origin in policy.origins and origin is not None:
            return (*_allow(policy, origin), *_list("Access-Control-Expose-Headers", policy.expose), _VARY)
        case NamedOrigins():
            return (_VARY,)
    return ()


def preflight_headers(policy: Cors | None, origin: str | None, method: str | None) -> Headers:
    """For the answer (204) to an OPTIONS with Access-Control-Request-Method. Not allowed: no header says so."""
    match policy:
        case PublicRead() if method in ("GET", "HEAD"):
            return (
                ("Access-Control-Allow-Origin", "*"),
                ("Access-Control-Allow-Methods", "GET, HEAD"),
                *_list("Access-Control-Allow-Headers", policy.headers),
                ("Access-Control-Max-Age", str(policy.max_age)),
            )
        case NamedOrigins() if origin in policy.origins and origin is not None and method in policy.methods:
            return (
                *_allow(policy, origin),
                ("Access-Control-Allow-Methods", ", ".join(policy.methods)),
                *_list("Access-Control-Allow-Headers", policy.headers),
                ("Access-Control-Max-Age", str(policy.max_age)),
                _VARY,
            )
        case NamedOrigins():
            return (_VARY,)
    return ()


def is_preflight(method: str, origin: str | None, request_method: str | None) -> bool:
    return method == "OPTIONS" and origin is not None and request_method is not None


def _allow(policy: NamedOrigins, origin: str) -> Headers:
    allow = ("Access-Control-Allow-Origin", origin)
    return (allow, ("Access-Control-Allow-Credentials", "true")) if policy.credentials else (allow,)


def _list(name: str, values: tuple[str, ...]) -> Headers:
    return ((name, ", ".join(values)),) if values else ()
