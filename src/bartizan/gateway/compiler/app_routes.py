"""The config's routes → Envoy routes (flows §2, §9): in front of the user's app.

One `[[route]]` becomes up to four: WebSocket handshakes, event streams, too long a body, and the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from bartizan.gateway.compiler import clusters, policies
from bartizan.gateway.compiler import route_parts as parts
from bartizan.gateway.compiler.envoy_types import Json
from bartizan.gateway.settings import Access, AppRoute, GatewaySettings

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_WEBSOCKET = parts.header("upgrade", {"exact": "websocket", "ignore_case": True})
_EVENT_STREAM = parts.header("accept", {"contains": "text/event-stream"})


def app_routes(settings: GatewaySettings) -> list[Json]:
    """The longest path first, an exact one before a prefix of its length."""
    ordered = sorted(settings.app_routes, key=lambda route: (-len(route.path), route.path.endswith("/")))
    return [compiled for route in ordered for compiled in _compiled(settings, route)]


def _compiled(settings: GatewaySettings, route: AppRoute) -> Iterator[Json]:
    cluster, match = clusters.name_for(settings, route.to), _match(route.path)
    common = _common(settings, route)
    # A stream under a token ends with the token's life; the next one shows a new token (flows §3).
    cut = 0 if route.access is Access.PUBLIC else settings.access_token_lifetime

    def row(kind: str, match: Json, action: Json, extra: Json) -> Json:
        return {
            "name": f"{kind} {route.path}",
            "match": match,
            "route": {**action, **_rewritten(route)},
            "typed_per_filter_config": {**common, **extra},
            "metadata": parts.about(scope=route.scope),
            "response_headers_to_add": [*_no_store(route), *parts.vary(policies.cors(route.cors_origins, _METHODS))],
        }

    yield from parts.preflight(match, cluster, policies.cors(route.cors_origins, _METHODS))
    endless = parts.forward(cluster, timeout=0, cut=cut)
    if route.websocket:
        upgrade = {"upgrade_configs": [{"upgrade_type": "websocket", "enabled": True}]}
        yield row("websocket", parts.with_headers(match, _WEBSOCKET), {**endless, **upgrade}, {})
    yield row("events", parts.with_headers(match, _EVENT_STREAM), endless, policies.body(route.body_limit))
    action = parts.forward(cluster, timeout=route.timeout, cut=0 if route.timeout else cut, retried=not route.stream)
    if route.stream:
        yield parts.too_large(match, cluster, route.body_limit, policies.cors(route.cors_origins, _METHODS))
        yield row("app", match, action, {})
    else:
        yield row("app", match, action, policies.body(route.body_limit))


def _match(path: str) -> Json:
    """`/api/` holds `/api` too: a path beside the fence would otherwise fall to the route of `/`."""
    if path == "/":
        return {"prefix": "/"}
    return {"path_separated_prefix": path.rstrip("/")} if path.endswith("/") else {"path": path}


def _common(settings: GatewaySettings, route: AppRoute) -> Json:
    public = route.access is Access.PUBLIC
    return {
        **(policies.public() if public else policies.looked_at(route.access, route.csrf)),
        **({} if public else policies.scope(route.scope, route.access)),
        **policies.limit(route.limit),
        **policies.cors(route.cors_origins, _METHODS),
        **policies.inner_location(clusters.upstream(route.to).origin, settings.app_origin),
    }


def _rewritten(route: AppRoute) -> Json:
    if not route.strip_prefix or route.path == "/":
        return {}
    return {"regex_rewrite": {"pattern": {"regex": f"^{re.escape(route.path.rstrip('/'))}/?"}, "substitution": "/"}}


def _no_store(route: AppRoute) -> list[Json]:
    """Flows §11: the back button shows nothing private, unless the app itself says otherwise."""
    if route.access is not Access.REQUIRED:
        return []
    return [{"header": {"key": "cache-control", "value": "no-store"}, "append_action": "ADD_IF_ABSENT"}]
