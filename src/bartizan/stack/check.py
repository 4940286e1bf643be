"""Design §7, §4: what a well-formed file may still get wrong. One function a section; all faults at once."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from urllib.parse import urlsplit

from bartizan.model.ended import LONGEST_LIFETIME
from bartizan.protocol.oauth.redirects import registrable
from bartizan.protocol.web import limits
from bartizan.protocol.web.origins import Origin, parse
from bartizan.stack.config import Fault, Lines, key_name
from bartizan.stack.origins import origins
from bartizan.stack.schema import ClientRow, Config, RouteRow
from bartizan.stack.workers import MOST

Path = tuple[str | int, ...]
Found = Iterator[tuple[Path, str]]

OIDC_SCOPES = ("openid", "profile", "email", "offline_access")
GRANTS = ("authorization_code", "refresh_token", "client_credentials")
# Of its 60 connections 3 are the superuser's, 10 are for jobs and monitoring, and each worker's pool holds 8.
_EMBEDDED_WORKERS = 5
_CACHE_SCHEMES = ("unix", "valkey", "valkeys", "redis", "rediss")
_RESERVED = ("/bff", "/.well-known/bartizan")


def check(config: Config, lines: Lines | None = None) -> tuple[Fault, ...]:
    """Every fault of meaning. Empty: the servers' settings can be compiled."""
    found = [*_site(config), *_auth(config), *_gateway(config), *_routes(config), *_stores(config), *_worker(config)]
    return tuple(Fault(key_name(path), says, lines.of(path) if lines else None) for path, says in found)


def warnings(config: Config) -> tuple[Fault, ...]:
    """What works and is a weaker choice."""
    return tuple(Fault(key_name(path), says) for path, says in _weak(config))


def local_only(config: Config) -> bool:
    """Does everything happen on this machine? Then development's comforts are allowed."""
    try:
        own = origins(config)
        return all(parse(own.url(name)).local for name in ("app", "id", "files"))
    except ValueError:
        return False


def _site(config: Config) -> Found:
    own = origins(config)
    parsed: dict[str, Origin] = {}
    for name in ("app", "id", "files"):
        text = own.url(name)
        try:
            parsed[name] = parse(text)
        except ValueError as wrong:
            yield ("site", name), f"{wrong}."
            continue
        if not parsed[name].https and not parsed[name].local:
            yield ("site", name), f"{text} is not encrypted; use https (http is for localhost alone)."
    for first, second in (("app", "id"), ("app", "files"), ("id", "files")):
        if first in parsed and parsed.get(first) == parsed.get(second):
            yield (
                ("site", second),
                f"equals site.{first}; each needs an origin of its own, or a script in one can read the other.",
            )
    for at, network in enumerate(config.site.trusted_proxies):
        if not _is_network(network):
            yield ("site", "trusted_proxies", at), f"{network!r} is no address or network such as 10.0.0.0/8."
    yield from _hosts(config, parsed)


def _hosts(config: Config, parsed: dict[str, Origin]) -> Found:
    taken = {str(origin): name for name, origin in parsed.items()}
    for at, row in enumerate(config.host):
        yield from _address(("host", at, "to"), row.to)
        try:
            origin = str(parse(row.host))
        except ValueError as wrong:
            yield ("host", at, "host"), f"{wrong}."
            continue
        if origin in taken:
            yield ("host", at, "host"), f"is site.{taken[origin]} already."


def _auth(config: Config) -> Found:
    auth = config.auth
    yield from _workers(config)
    if not 60 <= auth.access_token_lifetime <= LONGEST_LIFETIME:
        yield ("auth", "access_token_lifetime"), "must lie between 1m and 1h: what was ended is listed that long."
    for idle, absolute in (("refresh_idle", "refresh_absolute"), ("session_idle", "session_absolute")):
        if getattr(auth, idle) > getattr(auth, absolute):
            yield ("auth", idle), f"is longer than auth.{absolute}; make it the same or shorter."
    for name in auth.scopes:
        if not name or any(character <= " " or character in '"\\\x7f' for character in name):
            yield ("auth", "scopes", name), "is no scope: letters, digits, dots and colons, no spaces."
        if name in OIDC_SCOPES:
            yield ("auth", "scopes", name), "is built in and keeps its meaning; choose another name."
    seen: set[str] = set()
    for at, client in enumerate(auth.client):
        if client.id in seen:
            yield ("auth", "client", at, "id"), f"{client.id!r} is there twice."
        seen.add(client.id)
        yield from _client(config, client, ("auth", "client", at))


def _workers(config: Config) -> Found:
    workers, here = config.auth.workers, ("auth", "workers")
    if not 1 <= workers <= MOST:
        yield here, f"must lie between 1 and {MOST}."
    elif workers > _EMBEDDED_WORKERS and config.database.url is None:
        yield here, f"the embedded PostgreSQL has connections for {_EMBEDDED_WORKERS}; name one with database.url."


def _client(config: Config, client: ClientRow, at: Path) -> Found:
    for place, scope in enumerate(client.scopes):
        if scope not in config.auth.scopes and scope not in OIDC_SCOPES:
            yield (*at, "scopes", place), f"there is no scope {scope!r}; name it under [auth.scopes]."
    for place, grant in enumerate(client.grants):
        if grant not in GRANTS:
            yield (*at, "grants", place), f"{grant!r} is none of {', '.join(GRANTS)}."
    for key in ("redirect_uris", "post_logout_redirect_uris"):
        for place, uri in enumerate(getattr(client, key)):
            if wrong := bad_redirect(uri, native=client.kind == "native"):
                yield (*at, key, place), wrong
    for key in ("origins", "redirect_onward"):
        for place, origin in enumerate(getattr(client, key)):
            if wrong := _bad_origin(origin):
                yield (*at, key, place), wrong
    if client.kind in ("server", "native") and not client.redirect_uris and client.grants != ("client_credentials",):
        yield (*at, "redirect_uris"), f"a client of kind {client.kind} needs at least one."
    if client.kind in ("server", "agent") and client.auth_method != "none" and client.secret is None:
        yield (*at, "secret"), 'is missing; write { file = "…" } or { env = "…" }.'
    if client.kind == "native" and client.secret is not None:
        yield (*at, "secret"), "a native app cannot keep one: take it out."
    if client.kind in ("server", "agent") and client.auth_method == "none":
        yield (*at, "auth_method"), f"a client of kind {client.kind} proves itself; take the line out."


def _gateway(config: Config) -> Found:
    tls, own = config.gateway.tls, origins(config)
    if not 1 <= config.gateway.port <= 65535:
        yield ("gateway", "port"), "must lie between 1 and 65535."
    schemes = {url.split(":", 1)[0] for url in (own.app, own.id, own.files)}
    if len(schemes) > 1:
        yield ("site",), "app, id and files must all be https, or all be http on localhost."
    elif schemes == {"https"} and tls.mode == "off" and not config.site.trusted_proxies:
        yield (
            ("gateway", "tls", "mode"),
            'is "off" where site is https; use "local" or "files", or name its proxy in site.trusted_proxies.',
        )
    elif schemes == {"http"} and tls.mode != "off":
        yield ("gateway", "tls", "mode"), f'is "{tls.mode}" where site is http; write https:// there.'
    if tls.mode == "files":
        for key in ("certificate", "key"):
            if not getattr(tls, key):
                yield ("gateway", "tls", key), 'is missing; mode "files" needs certificate and key.'
    if tls.mode == "local" and not local_only(config):
        yield ("gateway", "tls", "mode"), '"local" is for localhost: nobody else trusts its authority. Use "files".'


def _routes(config: Config) -> Found:
    seen: dict[str, int] = {}
    for at, row in enumerate(config.route):
        here: Path = ("route", at)
        if not row.path.startswith("/") or "?" in row.path or "#" in row.path or "//" in row.path:
            yield (*here, "path"), f"{row.path!r} is no path; it begins with a slash."
        if row.path in seen:
            yield (*here, "path"), f"is that of route[{seen[row.path]}] already."
        seen[row.path] = at
        if any(row.path.rstrip("/") == taken or row.path.startswith(taken + "/") for taken in _taken(config)):
            yield (*here, "path"), f"{row.path} is Bartizan's own; choose another path."
        yield from _route(config, row, here)


def _route(config: Config, row: RouteRow, here: Path) -> Found:
    if bool(row.to) == bool(row.spa):
        yield here, "needs either `to` or `spa`."
    if row.to:
        yield from _address((*here, "to"), row.to)
    if row.public and (row.require or row.optional):
        yield (*here, "public"), "contradicts `require` and `optional`; keep one of them."
    if row.require and row.optional:
        yield (*here, "optional"), "contradicts `require`; keep one of them."
    for scope in row.require.split():
        if scope not in config.auth.scopes and scope not in OIDC_SCOPES:
            yield (*here, "require"), f"there is no scope {scope!r}; name it under [auth.scopes]."
    if row.csrf == "form" and not row.guard:
        yield (
            (*here, "csrf"),
            '"form" leaves the hidden field to the app\'s guard: name it (guard = "flask"), or use "token".',
        )
    if row.limit:
        try:
            limits.parse(row.limit)
        except ValueError as wrong:
            yield (*here, "limit"), f"{wrong}."
    for place, origin in enumerate(row.cors):
        if origin != "clients" and (bad := _bad_origin(origin)):
            yield (*here, "cors", place), bad
    for directive, sources in row.csp.items():
        if "*" in sources or "'unsafe-inline'" in sources or "'unsafe-eval'" in sources:
            yield (*here, "csp", directive), "would let any script in; name exact origins."
    if row.spa.startswith(("http://", "https://")) and not local_only(config):
        yield (*here, "spa"), "is a development server; build the SPA and name its directory."


def _stores(config: Config) -> Found:
    for section in ("database", "cache"):
        url = getattr(config, section).url
        if isinstance(url, str):
            parts = urlsplit(url)
            if parts.password:
                yield (section, "url"), 'holds a password; write { env = "…" } or { file = "…" }.'
            elif not parts.scheme:
                yield (section, "url"), f"{url!r} is no URL."
            elif section == "cache" and parts.scheme not in _CACHE_SCHEMES:
                yield (section, "url"), "is not understood; write unix:///path, valkey://host:port/0 or valkeys://…"
    if config.cache.memory < 8 * 1024 * 1024:
        yield ("cache", "memory"), "is too small; give it 8MB or more."
    if config.files.max_size > config.files.quota:
        yield ("files", "max_size"), "is larger than files.quota; nobody could upload such a file."
    if "://" in config.files.store:
        yield ("files", "store"), "must be a directory on this machine; other stores come later."


def _worker(config: Config) -> Found:
    mail = config.worker.mail
    if config.worker.concurrency < 2:
        yield ("worker", "concurrency"), "must be 2 or more."
    if not mail.host and not local_only(config):
        yield ("worker", "mail", "host"), "is missing; without it all mail would stay in the dev inbox."
    if mail.host and not mail.sender:
        yield ("worker", "mail", "sender"), 'is missing; write "Name <no-reply@example.com>".'
    if mail.user and mail.password is None:
        yield ("worker", "mail", "password"), 'is missing; write { file = "…" } or { env = "…" }.'
    if mail.password is not None and mail.security == "none":
        yield ("worker", "mail", "security"), '"none" would send the password in clear; use "starttls" or "tls".'


def _weak(config: Config) -> Found:
    for at, row in enumerate(config.route):
        if row.to and not _near(row.to):
            yield (
                ("route", at, "to"),
                "is neither loopback nor a socket: whoever reaches it can forge X-Bartizan-User; trust the token.",
            )
        if row.csrf == "origin" and not row.public:
            yield ("route", at, "csrf"), '"origin" is the origin test alone; "token" with a guard is stronger.'
    if config.gateway.address not in ("127.0.0.1", "::1") and local_only(config):
        yield ("gateway", "address"), "lets other machines reach a listener whose names are local."
    if config.privacy.retention > 30 * 86_400:
        yield ("privacy", "retention"), "keeps hashed addresses longer than 30 days."


def _taken(config: Config) -> tuple[str, ...]:
    return (*_RESERVED, "/files") if config.files.enabled else _RESERVED


def _address(at: Path, to: str) -> Found:
    if to.startswith("unix:/"):
        return
    parts = urlsplit(to)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.rstrip("/") or parts.query:
        yield at, f"{to!r} is no server: write http://127.0.0.1:5000 or unix:/run/app.sock."


def _near(to: str) -> bool:
    host = urlsplit(to).hostname or ""
    return to.startswith("unix:") or host in ("127.0.0.1", "::1", "localhost") or host.endswith(".localhost")


def _bad_origin(text: str) -> str:
    if "*" in text:
        return "a wildcard would let any site in; name exact origins."
    try:
        origin = parse(text)
    except ValueError as wrong:
        return f"{wrong}."
    return "" if origin.https or origin.local else f"{text} is not encrypted; use https."


def bad_redirect(uri: str, *, native: bool) -> str:
    """What the auth server's rule says of it, with the cure."""
    wrong = registrable(uri, native=native)
    return f"{uri!r} {wrong}; use https and the exact address." if wrong else ""


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True
