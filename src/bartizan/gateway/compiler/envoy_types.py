"""Envoy's type names, each written once, and the two wrappers that every extension needs."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_PREFIX = "type.googleapis.com/"
_FILTERS = "envoy.extensions.filters.http."

CORS = _FILTERS + "cors.v3.Cors"
CORS_POLICY = _FILTERS + "cors.v3.CorsPolicy"
LUA = _FILTERS + "lua.v3.Lua"
LUA_ROUTE = _FILTERS + "lua.v3.LuaPerRoute"
JWT = _FILTERS + "jwt_authn.v3.JwtAuthentication"
JWT_ROUTE = _FILTERS + "jwt_authn.v3.PerRouteConfig"
RBAC = _FILTERS + "rbac.v3.RBAC"
RBAC_ROUTE = _FILTERS + "rbac.v3.RBACPerRoute"
RBAC_ACTION = "envoy.config.rbac.v3.Action"
LOCAL_LIMIT = _FILTERS + "local_ratelimit.v3.LocalRateLimit"
BUFFER = _FILTERS + "buffer.v3.Buffer"
BUFFER_ROUTE = _FILTERS + "buffer.v3.BufferPerRoute"
ROUTER = _FILTERS + "router.v3.Router"
MATCHED = "envoy.extensions.common.matching.v3.ExtensionWithMatcher"
SKIP = "envoy.extensions.filters.common.matcher.action.v3.SkipFilter"
REQUEST_HEADER = "envoy.type.matcher.v3.HttpRequestHeaderMatchInput"
RESPONSE_HEADER = "envoy.type.matcher.v3.HttpResponseHeaderMatchInput"
MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
EARLY_MUTATION = "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
XFF = "envoy.extensions.http.original_ip_detection.xff.v3.XffConfig"
CEL_FILTER = "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter"
FILE_LOG = "envoy.extensions.access_loggers.file.v3.FileAccessLog"
STDERR_LOG = "envoy.extensions.access_loggers.stream.v3.StderrAccessLog"
DOWNSTREAM_TLS = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
UPSTREAM_TLS = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
SECRET = "envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105 - a type's name
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
PREVIOUS_HOSTS = "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
EXTENSION = "envoy.config.core.v3.TypedExtensionConfig"


def typed(kind: str, **fields: Any) -> Json:
    """The message of one type."""
    return {"@type": _PREFIX + kind, **fields}


def url(kind: str) -> str:
    return _PREFIX + kind


def named(name: str, config: Json) -> Json:
    """A TypedExtensionConfig."""
    return {"name": name, "typed_config": config}


def seconds(amount: float) -> str:
    return f"{amount:g}s"
