"""The one listener (design §4): who is calling, which headers are believed, how a path is read, TLS.

A header that says who somebody is, or where a request came from, is ours to set: from a client it never gets past here.
"""

from __future__ import annotations

from ipaddress import ip_network

from bartizan.gateway.compiler import envoy_types as t
from bartizan.gateway.compiler import published
from bartizan.gateway.compiler.access_log import access_logs
from bartizan.gateway.compiler.answers import local_reply
from bartizan.gateway.compiler.envoy_types import Json
from bartizan.gateway.compiler.filters import chain
from bartizan.gateway.compiler.vhosts import route_config
from bartizan.gateway.settings import GatewaySettings

_FORGED_PREFIXES = ("x-bartizan-", "x-envoy-", "x-auth-", "x-ssl-", "x-client-", "cf-", "remote-")
_FORGED = (
    "x-request-id",
    "forwarded",
    "x-real-ip",
    "true-client-ip",
    "x-user",
    "x-user-id",
    "x-remote-user",
    "x-jwt-payload",
    "x-original-url",
    "x-rewrite-url",
    "x-original-host",
    "x-host",
)
_FORWARDED = "x-forwarded-"
_FORWARDED_BUT_FOR = "x-forwarded-([^f].*|f[^o].*|fo[^r].*|for.+)"
_BUFFER_BYTES = 256 * 1024
_HEADERS_KB = 32


def listener(settings: GatewaySettings) -> Json:
    chain_: Json = {"filters": [t.named("http", manager(settings))]}
    if settings.tls is not None:
        chain_["transport_socket"] = t.named("tls", _tls(settings))
    return {
        "name": "gateway",
        "address": {"socket_address": {"address": settings.listen_address, "port_value": settings.listen_port}},
        # Otherwise a second gateway could share the port silently instead of failing to bind.
        "enable_reuse_port": False,
        "per_connection_buffer_limit_bytes": _BUFFER_BYTES,
        "filter_chains": [chain_],
    }


def manager(settings: GatewaySettings) -> Json:
    return t.typed(
        t.MANAGER,
        stat_prefix="gateway",
        codec_type="AUTO",
        server_header_transformation="PASS_THROUGH",
        **_caller(settings),
        early_header_mutation_extensions=[t.named("forged", _forged(settings))],
        generate_request_id=True,
        always_set_request_id_in_response=True,
        normalize_path=True,
        merge_slashes=True,
        path_with_escaped_slashes_action="REJECT_REQUEST",
        max_request_headers_kb=_HEADERS_KB,
        request_headers_timeout="10s",
        stream_idle_timeout="60s",
        common_http_protocol_options={
            "headers_with_underscores_action": "REJECT_REQUEST",
            "max_headers_count": 100,
            "idle_timeout": "75s",
        },
        http2_protocol_options={"max_concurrent_streams": 100},
        upgrade_configs=[{"upgrade_type": "websocket", "enabled": False}],
        local_reply_config=local_reply(settings),
        access_log=access_logs(settings),
        http_filters=chain(settings),
        route_config=route_config(settings),
    )


def _caller(settings: GatewaySettings) -> Json:
    """Without trusted proxies the connection's own address counts; with them X-Forwarded-For, read from the right up
    to the first address that is no trusted proxy."""
    if not settings.trusted_proxies:
        return {"use_remote_address": True}
    cidrs = [
        {"address_prefix": str(network.network_address), "prefix_len": network.prefixlen}
        for network in (ip_network(text, strict=False) for text in settings.trusted_proxies)
    ]
    xff = t.typed(t.XFF, xff_trusted_cidrs={"cidrs": cidrs}, skip_xff_append=True)
    return {"use_remote_address": False, "original_ip_detection_extensions": [t.named("xff", xff)]}


def _forged(settings: GatewaySettings) -> Json:
    """A trusted proxy's X-Forwarded-For is read, nothing else of what it says: the config knows scheme and host."""
    forwarded: Json = (
        {"safe_regex": {"regex": _FORWARDED_BUT_FOR}} if settings.trusted_proxies else {"prefix": _FORWARDED}
    )
    matchers = [*({"prefix": prefix} for prefix in _FORGED_PREFIXES), forwarded]
    by_name = [{"remove": name} for name in _FORGED]
    return t.typed(
        t.EARLY_MUTATION,
        mutations=[*({"remove_on_match": {"key_matcher": matcher}} for matcher in matchers), *by_name],
    )


def _tls(settings: GatewaySettings) -> Json:
    directory = settings.config_dir
    source = {
        "path_config_source": {
            "path": str(directory / published.CERTIFICATE_FILE),
            "watched_directory": {"path": str(directory)},
        },
        "resource_api_version": "V3",
    }
    common = {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_certificate_sds_secret_configs": [{"name": published.CERTIFICATE, "sds_config": source}],
    }
    return t.typed(t.DOWNSTREAM_TLS, common_tls_context=common)
