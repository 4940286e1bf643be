"""Design §2, §7: `Config` → each server's own Settings. Values in, values out; only references are followed here."""

from __future__ import annotations

from datetime import UTC, datetime

from bartizan.auth.settings import AuthSettings, ScopeText
from bartizan.database.settings import DatabaseSettings
from bartizan.files.settings import FilesSettings
from bartizan.frontend.settings import FrontendSettings
from bartizan.gateway.settings import Access, AppRoute, GatewaySettings, OwnServer, PassHost, Tls
from bartizan.gateway.settings import Mode as GatewayMode
from bartizan.model.clients import AuthMethod, Client, Kind, Mode
from bartizan.model.ended import listed_seconds
from bartizan.monitoring.settings import AppTarget, MonitoringSettings
from bartizan.protocol.secrets import KeyRing, client_secret, fingerprint
from bartizan.protocol.web.csrf import Rule
from bartizan.stack import workers
from bartizan.stack.effective import Effective, secret, url
from bartizan.stack.engines import postgres, valkey
from bartizan.stack.origins import origins
from bartizan.stack.schema import ClientRow, RouteRow
from bartizan.worker.settings import InboxSettings, Security, SmtpSettings, WorkerSettings

# Which of our servers share a process when `up` starts them: the one-machine default needs few (design §1).
PROCESSES = {"web": ("auth", "frontend", "files"), "work": ("worker", "monitoring"), "agent": ("gateway",)}
DEFAULT_CLIENT = ClientRow(id="app", kind="browser")
_OIDC = ("openid", "profile", "email")
_METHODS = {"browser": "client_secret_basic", "server": "client_secret_basic", "agent": "client_secret_basic"}
_GRANTS = {"agent": ("client_credentials",)}
_CODE = ("authorization_code", "refresh_token")


def processes(at: Effective) -> dict[str, tuple[str, ...]]:
    """What `up` runs, each web worker by its own name."""
    return PROCESSES | dict.fromkeys(workers.processes(at), PROCESSES["web"])


def database_url(at: Effective) -> str:
    given = at.config.database.url
    return postgres(at).url() if given is None else url(at, given, "database.url")


def cache_url(at: Effective) -> str:
    given = at.config.cache.url
    return valkey(at).url() if given is None else url(at, given, "cache.url")


def auth_address(at: Effective, worker: int = 1) -> str:
    return f"unix:{workers.socket(at, 'auth', worker)}"


def bff(at: Effective) -> ClientRow:
    """The app's own client. Without a row of kind browser there is one of the safe defaults."""
    return next((row for row in at.config.auth.client if row.kind == "browser"), DEFAULT_CLIENT)


def database(at: Effective) -> DatabaseSettings:
    config = at.config
    return DatabaseSettings(
        url=database_url(at),
        ended_seconds=listed_seconds(int(config.auth.access_token_lifetime)),
        session_idle_seconds=int(config.auth.session_idle),
        retention_days=max(1, int(config.privacy.retention) // 86_400),
    )


def auth(at: Effective) -> AuthSettings:
    config, own = at.config, origins(at.config)
    return AuthSettings(
        issuer=own.id,
        app_origin=own.app,
        files_origin=own.files,
        site_name=config.site.name,
        scopes={name: ScopeText(row.can, row.cannot) for name, row in config.auth.scopes.items()},
        access_token_lifetime=int(config.auth.access_token_lifetime),
        refresh_idle=int(config.auth.refresh_idle),
        refresh_absolute=int(config.auth.refresh_absolute),
        session_idle=int(config.auth.session_idle),
        session_absolute=int(config.auth.session_absolute),
        signing_algorithm=config.auth.signing_algorithm,
        key_rotation_seconds=int(config.auth.key_rotation),
        mail_from=sender(at),
        open_sign_up=config.auth.open_sign_up,
        dev_inbox=has_inbox(at),
    )


def clients(at: Effective, ring: KeyRing) -> tuple[Client, ...]:
    """The rows that the file owns."""
    rows = at.config.auth.client
    if bff(at) is DEFAULT_CLIENT:
        rows = (DEFAULT_CLIENT, *rows)
    return tuple(_client(at, row, ring) for row in rows)


def _client(at: Effective, row: ClientRow, ring: KeyRing) -> Client:
    own, now = origins(at.config), datetime.now(UTC)
    browser = row.kind == "browser"
    everything = (*_OIDC, *at.config.auth.scopes)
    return Client(
        id=row.id,
        kind=Kind(row.kind),
        name=row.name or (at.config.site.name if browser else row.id),
        auth_method=AuthMethod(row.auth_method or _METHODS.get(row.kind, "none")),
        secret_fingerprint=_fingerprint(at, row, ring),
        redirect_uris=row.redirect_uris or ((f"{own.app}/bff/callback",) if browser else ()),
        post_logout_redirect_uris=row.post_logout_redirect_uris or ((f"{own.app}/",) if browser else ()),
        redirect_onward=row.redirect_onward,
        origins=row.origins,
        grants=row.grants or _GRANTS.get(row.kind, _CODE),
        scopes=row.scopes or (everything if browser else ()),
        audience=row.audience or (own.app,),
        first_party=row.first_party or browser,
        mode=Mode(row.mode),
        homepage=row.homepage or (own.app if browser else ""),
        operator=row.operator or (at.config.site.name if browser else ""),
        checked_at=now if row.checked or browser else None,
        owner="file",
        created_at=now,
    )


def _fingerprint(at: Effective, row: ClientRow, ring: KeyRing) -> bytes | None:
    if row.kind == "browser":
        return fingerprint(client_secret(ring.purpose("client"), row.id))
    return fingerprint(secret(at, row.secret, f"auth.client {row.id}.secret")) if row.secret else None


def frontend(at: Effective, worker: int = 1) -> FrontendSettings:
    own, client = origins(at.config), bff(at)
    spa = next((row for row in at.config.route if row.spa and not _is_url(row.spa)), None)
    return FrontendSettings(
        app_origin=own.app,
        id_origin=own.id,
        files_origin=own.files if at.config.files.enabled else "",
        auth_address=auth_address(at, worker),
        client_id=client.id,
        mode=Mode(client.mode),
        scopes=client.scopes or (*_OIDC, *at.config.auth.scopes),
        site_name=at.config.site.name,
        spa_dir=at.from_file(spa.spa) if spa else None,
        csp=spa.csp if spa else {},
        refresh_seconds=int(at.config.auth.refresh_absolute),
    )


def files(at: Effective) -> FilesSettings:
    own, row = origins(at.config), at.config.files
    return FilesSettings(
        app_origin=own.app,
        files_origin=own.files,
        issuer=own.id,
        audience=own.app,
        data_dir=at.from_file(row.store) if row.store else at.path("files"),
        read_scope=row.read,
        write_scope=row.write,
        max_bytes=int(row.max_size),
        quota_bytes=int(row.quota),
    )


def worker(at: Effective) -> WorkerSettings:
    days = int(at.config.privacy.retention) // 86_400
    return WorkerSettings(concurrency=at.config.worker.concurrency, keep_days=max(1, days))


def has_inbox(at: Effective) -> bool:
    return not at.config.worker.mail.host


def sender(at: Effective) -> str:
    return at.config.worker.mail.sender or f"{at.config.site.name} <no-reply@id.localhost>"


def smtp(at: Effective) -> SmtpSettings:
    mail = at.config.worker.mail
    if has_inbox(at):
        return SmtpSettings(sender=sender(at), socket=at.socket("smtp.sock"), security=Security.NONE)
    return SmtpSettings(
        sender=sender(at),
        host=mail.host,
        port=mail.port,
        security=Security(mail.security),
        user=mail.user,
        password=secret(at, mail.password, "worker.mail.password") if mail.password else "",
        connections=mail.connections,
    )


def inbox(at: Effective) -> InboxSettings:
    return InboxSettings(directory=at.path("mail"), socket=at.socket("smtp.sock"), id_origin=origins(at.config).id)


def monitoring(at: Effective) -> MonitoringSettings:
    app = next((row.to for row in at.config.route if row.to), "")
    return MonitoringSettings(
        sockets=at.socket(""),
        processes=processes(at),
        envoy_admin=at.socket("envoy-admin.sock"),
        database_url=database_url(at),
        cache_url=cache_url(at),
        app=AppTarget(address=app),
        host=at.config.monitoring.address,
        port=at.config.monitoring.port,
    )


def gateway(at: Effective, own_servers: tuple[OwnServer, ...]) -> GatewaySettings:
    config, own = at.config, origins(at.config)
    callers = tuple(sorted({origin for client in config.auth.client for origin in client.origins}))
    return GatewaySettings(
        app_origin=own.app,
        id_origin=own.id,
        files_origin=own.files,
        own=own_servers,
        app_routes=tuple(_app_route(at, row, callers) for row in config.route),
        hosts=tuple(PassHost(origin=row.host, to=row.to) for row in config.host),
        listen_address=config.gateway.address,
        listen_port=config.gateway.port,
        tls=_tls(at),
        trusted_proxies=config.site.trusted_proxies,
        mode=GatewayMode(bff(at).mode),
        access_token_lifetime=int(config.auth.access_token_lifetime),
        client_origins=callers,
        auth_address=auth_address(at),
        auth_others=tuple(f"unix:{path}" for path in workers.sockets(at, "auth")[1:]),
        config_dir=at.socket("gateway"),
        admin_socket=at.socket("envoy-admin.sock"),
        owner=None if at.uid is None or at.gid is None else (at.uid, at.gid),
    )


def _app_route(at: Effective, row: RouteRow, callers: tuple[str, ...]) -> AppRoute:
    """An SPA is public unless the row says otherwise: it must load before anybody can sign in (flows §9)."""
    to = row.to or (row.spa if _is_url(row.spa) else f"unix:{at.socket('frontend.sock')}")
    public = row.public or bool(row.spa and not row.require and not row.optional)
    access = Access.PUBLIC if public else Access.OPTIONAL if row.optional else Access.REQUIRED
    cors = tuple(
        dict.fromkeys(origin for entry in row.cors for origin in (callers if entry == "clients" else (entry,)))
    )
    return AppRoute(
        path=row.path,
        to=to,
        access=access,
        scope=row.require,
        csrf=Rule(row.csrf),
        limit=row.limit,
        timeout=int(row.timeout),
        body_limit=int(row.body_limit),
        stream=row.stream,
        websocket=row.websocket or _is_url(row.spa),
        cors_origins=tuple(dict.fromkeys(cors)),
    )


def _tls(at: Effective) -> Tls | None:
    row = at.config.gateway.tls
    if row.mode == "local":
        return Tls(at.path("ca", "leaf.pem"), at.path("ca", "leaf.key"))
    return Tls(at.from_file(row.certificate), at.from_file(row.key)) if row.mode == "files" else None


def _is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))
