"""Design §4, notes N11: one JSON line a request, the address masked, without the query string and its secrets."""

from __future__ import annotations

import json

from bartizan.gateway.compiler import envoy_types as t
from bartizan.gateway.compiler.envoy_types import Json
from bartizan.gateway.settings import GatewaySettings

# A path whose variable part may be a secret is logged as its row writes it (`own_routes._about`).
_PATH = json.dumps(
    {"operators": [{"command": "METADATA", "param": "ROUTE:bartizan:logged_path"}, {"command": "PATH", "param": "NQ"}]}
)
_V4_BITS, _V6_BITS = 24, 48


def access_logs(settings: GatewaySettings) -> list[Json]:
    """Envoy masks by one length a line, so where both families can be seen each has a log entry of its own."""
    if not _sees_v6(settings):
        return [_log(settings, _V4_BITS)]
    is_v6 = "source.address.contains('[')"
    return [
        {**_log(settings, _V4_BITS), "filter": _cel(f"!{is_v6}")},
        {**_log(settings, _V6_BITS), "filter": _cel(is_v6)},
    ]


def _sees_v6(settings: GatewaySettings) -> bool:
    return ":" in settings.listen_address or bool(settings.trusted_proxies)


def _cel(expression: str) -> Json:
    return {"extension_filter": t.named("address", t.typed(t.CEL_FILTER, expression=expression))}


def _log(settings: GatewaySettings, bits: int) -> Json:
    line = {
        "time": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
        "level": "info",
        "event": "request",
        "server": "gateway",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "address": f"%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT({bits})%",
        "host": "%REQ(:AUTHORITY):253%",
        "method": "%REQ(:METHOD):16%",
        "path": f"%COALESCE({_PATH})%",
        "route": "%ROUTE_NAME%",
        "status": "%RESPONSE_CODE%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "flags": "%RESPONSE_FLAGS%",
        "duration_ms": "%DURATION%",
        "received": "%BYTES_RECEIVED%",
        "sent": "%BYTES_SENT%",
        "upstream": "%UPSTREAM_CLUSTER%",
    }
    log_format = {"json_format": line, "omit_empty_values": True}
    if settings.access_log == "stderr":
        return t.named("stderr", t.typed(t.STDERR_LOG, log_format=log_format))
    return t.named("file", t.typed(t.FILE_LOG, path=settings.access_log, log_format=log_format))
