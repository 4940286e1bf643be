"""Our servers' `Route` rows → Envoy routes (design §2: one row an endpoint, from which the gateway compiles it)."""

from __future__ import annotations

from collections.abc import Iterator

from bartizan.gateway.compiler import policies
from bartizan.gateway.compiler import route_parts as parts
from bartizan.gateway.compiler.envoy_types import Json
from bartizan.gateway.settings import Access, GatewaySettings, OwnServer
from bartizan.model.route import Origin, Route, Who
from bartizan.protocol.web.csrf import Rule
from bartizan.web.paths import pattern

BFF = "/bff"
HELD = "held"  # the long polls' own histogram, which monitoring takes out of the whole
_PREFIX_TIMEOUT, _PREFIX_BODY = 15, 64 * 1024


def own_routes(settings: GatewaySettings, origin: Origin) -> list[Json]:
    """Fixed paths before patterns, as the servers themselves look them up."""
    rows = [(server, row) for server in settings.own for row in server.routes if row.origin is origin]
    rows.sort(key=lambda pair: "{" in pair[1].path)
    compiled = [route for server, row in rows for route in _row(settings, server, row)]
    # Another method on a known path: the server knows which it takes (405, Allow).
    paths = {row.path: (server, row) for server, row in reversed(rows)}
    compiled += [_any_method(settings, server, row) for server, row in paths.values()]
    compiled += [route for server in settings.own for route in _prefixes(server, origin)]
    return compiled


def _row(settings: GatewaySettings, server: OwnServer, row: Route) -> Iterator[Json]:
    methods = [*row.methods, *(["HEAD"] if "GET" in row.methods else []), *(["OPTIONS"] if row.cors else [])]
    match = parts.with_headers(_path(row.path), parts.one_of(methods))
    cors = _cors(settings, row)
    if row.stream:
        yield parts.too_large(match, server.name, row.body_limit, cors)
    yield {
        "name": f"{server.name} {row.path}",
        "match": match,
        "route": parts.forward(
            server.name,
            timeout=row.timeout,
            cut=settings.access_token_lifetime if row.who is Who.TOKEN and not row.timeout else 0,
            retried=not row.stream,
        ),
        "typed_per_filter_config": {
            **_treatment(row),
            **policies.limit(row.limit),
            **({} if row.stream else policies.body(row.body_limit)),
            **cors,
        },
        "metadata": _about(row),
        "response_headers_to_add": parts.vary(cors),
        **({"stat_prefix": HELD} if row.held else {}),
    }


def _any_method(settings: GatewaySettings, server: OwnServer, row: Route) -> Json:
    return {
        "name": f"{server.name} {row.path}",
        "match": _path(row.path),
        "route": parts.forward(server.name, timeout=row.timeout or _PREFIX_TIMEOUT),
        "typed_per_filter_config": {**_treatment(row), **policies.body(row.body_limit), **_cors(settings, row)},
        "metadata": _about(row),
    }


def _prefixes(server: OwnServer, origin: Origin) -> Iterator[Json]:
    for where, prefix in server.prefixes:
        if where is origin:
            yield {
                "name": f"{server.name} {prefix}",
                "match": {"path_separated_prefix": prefix},
                "route": parts.forward(server.name, timeout=_PREFIX_TIMEOUT),
                "typed_per_filter_config": {**policies.public(), **policies.body(_PREFIX_BODY)},
            }


def _treatment(row: Route) -> Json:
    if row.who is Who.TOKEN and row.origin is Origin.APP:
        looked_at = policies.looked_at(Access.REQUIRED, Rule.FORM if row.form else Rule.TOKEN)
        return {**looked_at, **policies.scope(row.scope, Access.REQUIRED)}
    return _by_origin(row.origin, row.path)


def _by_origin(origin: Origin, path: str) -> Json:
    """`/bff` and `id` live by our cookies and check everything themselves; nobody else gets to see one."""
    keeps = origin is Origin.ID or (origin is Origin.APP and (path == BFF or path.startswith(BFF + "/")))
    return policies.cookies_kept() if keeps else policies.public()


def _cors(settings: GatewaySettings, row: Route) -> Json:
    if row.cors == "public":
        return policies.cors_anyone(row.methods)
    return policies.cors(settings.client_origins, row.methods) if row.cors else {}


def _path(path: str) -> Json:
    if "{" not in path:
        return {"path": path}
    return {"safe_regex": {"regex": pattern(path).pattern.removesuffix(r"\Z")}}


def _about(row: Route) -> Json:
    # A path with a variable part may carry a secret (a mail link, a signed file link): the log gets the row's path.
    return parts.about(scope=row.scope, **({"logged_path": row.path} if "{" in row.path else {}))
