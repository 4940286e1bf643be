"""Design §7: the shape of `bartizan.toml`, as structs. Defaults are the safe and the embedded choice.

Unknown keys fail, because a misspelt security setting that is silently ignored is a hole.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

from msgspec import Struct, field

_DAY = 86_400


class Duration(int):
    """Seconds. Written "5m", "14d", "90s", "1h30m" or as a plain number of seconds."""


class Size(int):
    """Bytes. Written "10MB", "512KB", "2GB" or as a plain number of bytes."""


class Reference(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a secret lies. It never stands in the file itself."""

    file: str | None = None
    env: str | None = None


class Site(Struct, frozen=True, kw_only=True):
    name: str = "Bartizan"
    app: str = ""  # "": http(s)://app.localhost:<port>
    id: str = ""
    files: str = ""
    trusted_proxies: tuple[str, ...] = ()


class ClientRow(Struct, frozen=True, kw_only=True):
    """A client that the file owns: read-only in the console, gone when it goes from the file."""

    id: str
    kind: Literal["browser", "server", "native", "agent"]
    name: str = ""
    auth_method: Literal["client_secret_basic", "client_secret_post", "none"] | None = None
    secret: Reference | None = None
    mode: Literal["cookie", "memory"] = "cookie"
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    redirect_onward: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    audience: tuple[str, ...] = ()
    first_party: bool = False
    homepage: str = ""
    operator: str = ""
    checked: bool = False  # somebody here has looked at it: the consent page then does not warn


class ScopeRow(Struct, frozen=True, kw_only=True):
    """What the consent page says."""

    can: str
    cannot: str = ""


class Auth(Struct, frozen=True, kw_only=True):
    access_token_lifetime: Duration = Duration(300)
    refresh_idle: Duration = Duration(14 * _DAY)
    refresh_absolute: Duration = Duration(90 * _DAY)
    session_idle: Duration = Duration(14 * _DAY)
    session_absolute: Duration = Duration(90 * _DAY)
    signing_algorithm: Literal["ES256", "RS256", "EdDSA"] = "ES256"
    key_rotation: Duration = Duration(90 * _DAY)
    open_sign_up: bool = True
    workers: int = 1  # processes that answer for auth, frontend and files
    scopes: dict[str, ScopeRow] = field(default_factory=dict)
    client: tuple[ClientRow, ...] = ()


class Tls(Struct, frozen=True, kw_only=True):
    mode: Literal["off", "local", "files"] = "off"
    certificate: str = ""  # mode "files": PEM, the chain
    key: str = ""  # mode "files": PEM


class Gateway(Struct, frozen=True, kw_only=True):
    address: str = "127.0.0.1"
    port: int = 8080
    tls: Tls = Tls()


class RouteRow(Struct, frozen=True, kw_only=True):
    path: str
    to: str = ""  # "http://127.0.0.1:5000" or "unix:/run/app.sock"
    spa: str = ""  # a directory, or a development server's URL
    require: str = ""  # a scope; "": being signed in is enough
    public: bool = False
    optional: bool = False
    csrf: Literal["token", "form", "origin"] = "token"
    guard: str = ""  # names the second wall: "flask", "asgi", "fastapi"
    limit: str = ""  # "100/minute per user"
    timeout: Duration = Duration(15)
    body_limit: Size = Size(4 * 1024 * 1024)
    stream: bool = False
    websocket: bool = False
    cors: tuple[str, ...] = ()  # exact origins; "clients" stands for those of all registered clients
    csp: dict[str, tuple[str, ...]] = field(default_factory=dict)


class HostRow(Struct, frozen=True, kw_only=True):
    """Another origin behind the same listener, passed on as it is: no sign-in, no tokens, none of our cookies."""

    host: str
    to: str


class Database(Struct, frozen=True, kw_only=True):
    url: str | Reference | None = None  # None: embedded


class Cache(Struct, frozen=True, kw_only=True):
    url: str | Reference | None = None
    memory: Size = Size(64 * 1024 * 1024)


class FilesRow(Struct, frozen=True, kw_only=True):
    enabled: bool = True
    store: str = ""  # "": in the data directory
    read: str = "files.read"  # the scopes that its API asks for
    write: str = "files.write"
    quota: Size = Size(200 * 1024 * 1024)
    max_size: Size = Size(20 * 1024 * 1024)


class MailRow(Struct, frozen=True, kw_only=True):
    host: str = ""  # "": the dev inbox catches all mail
    port: int = 587
    security: Literal["tls", "starttls", "none"] = "starttls"
    user: str = ""
    password: Reference | None = None
    sender: str = ""
    connections: int = 4


class WorkerRow(Struct, frozen=True, kw_only=True):
    concurrency: int = 20
    mail: MailRow = MailRow()


class MonitoringRow(Struct, frozen=True, kw_only=True):
    address: str = "127.0.0.1"
    port: int = 9464


class Privacy(Struct, frozen=True, kw_only=True):
    retention: Duration = Duration(30 * _DAY)


class KeysRow(Struct, frozen=True, kw_only=True):
    ring: Reference | None = None  # None: a file made in the data directory


class Config(Struct, frozen=True, kw_only=True):
    site: Site = Site()
    auth: Auth = Auth()
    gateway: Gateway = Gateway()
    route: tuple[RouteRow, ...] = ()
    host: tuple[HostRow, ...] = ()
    database: Database = Database()
    cache: Cache = Cache()
    files: FilesRow = FilesRow()
    worker: WorkerRow = WorkerRow()
    monitoring: MonitoringRow = MonitoringRow()
    privacy: Privacy = Privacy()
    keys: KeysRow = KeysRow()


def plain(value: object) -> object:
    """For writing a Config down again."""
    if isinstance(value, Duration | Size):
        return int(value)
    raise NotImplementedError(f"{type(value).__name__} has no plain form")


def words_of(kind: Any) -> tuple[str, ...]:
    """The words that a Literal allows, `None` left out."""
    found: list[str] = []
    for part in get_args(kind):
        found += words_of(part) if get_args(part) else [part] if isinstance(part, str) else []
    return tuple(found)
