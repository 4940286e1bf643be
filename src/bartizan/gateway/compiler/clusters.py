"""Design §1: where requests go. Unix sockets for our own servers; whatever the config names for the user's.

One cluster for each address, however many routes lead there.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from msgspec import Struct

from bartizan.gateway.compiler import envoy_types as t
from bartizan.gateway.compiler.envoy_types import Json
from bartizan.gateway.settings import GatewaySettings

# Shorter than the keep-alive of the server behind (uvicorn and Node 5 s, gunicorn 2 s), or a request may be written
# into a connection that is just being closed.
_OWN_IDLE, _APP_IDLE = 4, 1
_CONNECT_SECONDS = 2
# Of several workers, one that takes no connection is passed over for a moment: its first refusal is enough. Only what
# happens to the connection counts: a 503 is an answer, and as true from one worker as from another. All gone at once,
# Envoy asks each of them all the same (panic threshold). A worker is back within two seconds, so nothing waits longer.
_PASSED_OVER: Json = {
    "split_external_local_origin_errors": True,
    "consecutive_local_origin_failure": 1,
    "enforcing_consecutive_local_origin_failure": 100,
    "enforcing_local_origin_success_rate": 0,
    "enforcing_consecutive_5xx": 0,
    "enforcing_consecutive_gateway_failure": 0,
    "enforcing_success_rate": 0,
    "max_ejection_percent": 100,
    "interval": t.seconds(0.25),
    "base_ejection_time": t.seconds(0.25),
    "max_ejection_time": t.seconds(0.5),
}
_ROOTS = "/etc/ssl/certs/ca-certificates.crt"


class Upstream(Struct, frozen=True):
    """A parsed `to`. `origin` is how its own Location headers may call it."""

    name: str
    origin: str = ""
    pipe: str = ""
    host: str = ""
    port: int = 0
    tls: bool = False
    own: bool = False
    others: tuple[str, ...] = ()  # pipes of further workers


def upstream(to: str) -> Upstream:
    """`http://host:port`, `https://host`, `unix:/path`. Anything else is a mistake in the config: ValueError."""
    if to.startswith("unix:/"):
        return Upstream(name=to, pipe=to.removeprefix("unix:"))
    parts = urlsplit(to)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/") or parts.query:
        raise ValueError(f"{to!r} is no address: write http://127.0.0.1:5000 or unix:/path/to.sock")
    tls = parts.scheme == "https"
    port = parts.port or (443 if tls else 80)
    return Upstream(
        name=f"{parts.scheme}://{parts.hostname}:{port}",
        origin=f"{parts.scheme}://{parts.netloc}",
        host=parts.hostname,
        port=port,
        tls=tls,
    )


def all_upstreams(settings: GatewaySettings) -> tuple[Upstream, ...]:
    found = {
        server.name: Upstream(server.name, pipe=str(server.socket), own=True, others=tuple(map(str, server.others)))
        for server in settings.own
    }
    for to in (*(route.to for route in settings.app_routes), *(host.to for host in settings.hosts)):
        target = upstream(to)
        if not any(target.pipe and target.pipe == known.pipe for known in found.values()):
            found.setdefault(target.name, target)
    return tuple(found.values())


def name_for(settings: GatewaySettings, to: str) -> str:
    """The cluster for a `to`: one of our sockets keeps its own name."""
    target = upstream(to)
    own = (server.name for server in settings.own if target.pipe and target.pipe == str(server.socket))
    return next(own, target.name)


def clusters(settings: GatewaySettings) -> list[Json]:
    return [_cluster(target) for target in all_upstreams(settings)]


def _cluster(target: Upstream) -> Json:
    options = t.typed(
        t.HTTP_OPTIONS,
        explicit_http_config={"http_protocol_options": {}},
        common_http_protocol_options={"idle_timeout": t.seconds(_OWN_IDLE if target.own else _APP_IDLE)},
    )
    kind, endpoint = _endpoint(target)
    cluster: Json = {
        "name": target.name,
        "type": kind,
        "connect_timeout": t.seconds(_CONNECT_SECONDS),
        "load_assignment": {
            "cluster_name": target.name,
            "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}, *map(_pipe, target.others)]}],
        },
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
    }
    if target.others:
        cluster |= {
            "lb_policy": "LEAST_REQUEST",
            "outlier_detection": _PASSED_OVER,
            "common_lb_config": {"update_merge_window": t.seconds(0)},  # else who is back gets nothing for a second
        }
    if target.tls:
        trusted = {"trusted_ca": {"filename": _ROOTS}, "match_typed_subject_alt_names": [_san(target.host)]}
        context = t.typed(t.UPSTREAM_TLS, sni=target.host, common_tls_context={"validation_context": trusted})
        cluster["transport_socket"] = t.named("tls", context)
    return cluster


def _pipe(path: str) -> Json:
    return {"endpoint": {"address": {"pipe": {"path": path}}}}


def _san(host: str) -> Json:
    return {"san_type": "IP_ADDRESS" if _is_address(host) else "DNS", "matcher": {"exact": host}}


def _endpoint(target: Upstream) -> tuple[str, Json]:
    if target.pipe:
        return "STATIC", {"address": {"pipe": {"path": target.pipe}}}
    if target.host == "localhost" or target.host.endswith(".localhost"):
        # RFC 6761 §6.3: loopback, whatever a resolver thinks; Node listens on ::1 alone on some machines.
        both = [{"address": _socket("::1", target.port)}]
        return "STATIC", {"address": _socket("127.0.0.1", target.port), "additional_addresses": both}
    kind = "STATIC" if _is_address(target.host) else "STRICT_DNS"
    return kind, {"address": _socket(target.host, target.port)}


def _socket(host: str, port: int) -> Json:
    return {"socket_address": {"address": host, "port_value": port}}


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
