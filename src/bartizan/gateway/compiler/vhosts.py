"""Design §4: three origins on one listener, other hosts passed through, and a page for every other name.

A Host must be exactly the configured one, port included: what nobody configured is nobody's origin.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from bartizan.gateway.compiler import clusters, policies
from bartizan.gateway.compiler import route_parts as parts
from bartizan.gateway.compiler.app_routes import app_routes
from bartizan.gateway.compiler.envoy_types import Json
from bartizan.gateway.compiler.filters import SEEN
from bartizan.gateway.compiler.own_routes import BFF, own_routes
from bartizan.gateway.compiler.published import CSRF, GID, SCOPE
from bartizan.gateway.settings import GatewaySettings
from bartizan.model.route import Origin

_EVERYTHING = {"prefix": "/"}
_HOST_CHARACTERS = r"[A-Za-z0-9.\-\[\]:]+"
_NOT_FOUND = parts.answer("not found", _EVERYTHING, 404)
# It echoes a request with headers that a page must not read. (CONNECT matches no route of ours at all.)
_TRACE = {"name": ":method", "string_match": {"exact": "TRACE"}}
_NO_TRACE = parts.answer("trace", parts.with_headers(_EVERYTHING, _TRACE), 405)


def route_config(settings: GatewaySettings) -> Json:
    https = settings.app_origin.startswith("https:")
    hsts = {"key": "strict-transport-security", "value": "max-age=31536000"}
    return {
        "name": "gateway",
        "virtual_hosts": [
            _host("app", settings.app_origin, [*own_routes(settings, Origin.APP), _bff_end(), *app_routes(settings)]),
            _host("id", settings.id_origin, own_routes(settings, Origin.ID)),
            _host("files", settings.files_origin, own_routes(settings, Origin.FILES)),
            *(_passed(settings, number) for number in range(len(settings.hosts))),
            _elsewhere(),
        ],
        # What our filters tell each other stays here; `x-bartizan-user` alone goes on (flows §9).
        "request_headers_to_remove": [GID, CSRF, SCOPE, SEEN],
        "request_headers_to_add": [_overwritten("x-forwarded-for", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%")],
        "response_headers_to_remove": ["server", "x-powered-by"],
        "response_headers_to_add": [{"header": hsts, "append_action": "ADD_IF_ABSENT"}] if https else [],
        "validate_clusters": True,
    }


def host_of(origin: str) -> str:
    return urlsplit(origin).netloc


def _host(name: str, origin: str, routes: list[Json]) -> Json:
    scheme, host = urlsplit(origin).scheme, host_of(origin)
    return {
        "name": name,
        "domains": [host],
        "routes": [_NO_TRACE, *routes, _NOT_FOUND],
        "request_headers_to_add": [
            _overwritten("x-forwarded-proto", scheme),
            _overwritten("x-forwarded-host", host),
        ],
    }


def _bff_end() -> Json:
    """What `/bff` does not have, the user's app does not get: our cookies are kept on that path."""
    return parts.answer("not found", {"path_separated_prefix": BFF}, 404)


def _passed(settings: GatewaySettings, number: int) -> Json:
    host = settings.hosts[number]
    target = clusters.upstream(host.to)
    route = {
        "name": f"host {host_of(host.origin)}",
        "match": _EVERYTHING,
        "route": parts.forward(clusters.name_for(settings, host.to), timeout=60),
        "typed_per_filter_config": {**policies.untouched(), **policies.inner_location(target.origin, host.origin)},
    }
    return _host(f"host {number}", host.origin, [route])


def _elsewhere() -> Json:
    """Names the seen host, so only one that can be a host: anything else is 400 without a word of it."""
    strange = {"name": ":authority", "string_match": {"safe_regex": {"regex": _HOST_CHARACTERS}}, "invert_match": True}
    return {
        "name": "elsewhere",
        "domains": ["*"],
        "routes": [
            parts.answer("no host", parts.with_headers(_EVERYTHING, strange), 400),
            parts.answer("other host", _EVERYTHING, 421),
        ],
    }


def _overwritten(name: str, value: str) -> Json:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
