"""All of Envoy's configuration (design §1): a static bootstrap, and three files beside it that the agent replaces."""

from __future__ import annotations

from bartizan.gateway.compiler import envoy_types as t
from bartizan.gateway.compiler.clusters import clusters
from bartizan.gateway.compiler.envoy_types import Json
from bartizan.gateway.compiler.listener import listener
from bartizan.gateway.settings import GatewaySettings

_MOST_CONNECTIONS = 10_000
_ADMIN_MODE = 0o600
STATS_SECONDS = 15
_WATCHDOG = {"miss_timeout": t.seconds(5), "megamiss_timeout": t.seconds(10)}
# Envoy's default is 100: a row with a long path and two variables needs more. All patterns here are ours.
_RUNTIME = {"re2.max_program_size.error_level": 2000}

# What monitoring reads (`/stats/prometheus` on the admin socket); a stat that nobody reads still costs memory.
_KEPT_STATS = (
    r"http\.gateway\.downstream_(rq_total|rq_[1-5]xx|rq_time|rq_active|cx_active|cx_total|rq_too_large)",
    r"http\.gateway\.(rbac|no_route|rq_direct_response).*",
    r"http\.gateway\.jwt_authn\.(allowed|denied|jwt_cache_hit|jwt_cache_miss)",
    r"cluster\..*\.(upstream_rq_[1-5]xx|upstream_rq_time|upstream_rq_active|upstream_cx_connect_fail)",
    r"vhost\..*\.route\.held\.upstream_rq_time",
    r"limit\.http_local_rate_limit\.rate_limited",
    r".*config_reload.*|.*\.update_(success|rejected)",
    r"server\.(uptime|memory_allocated|memory_physical_size|live|concurrency)",
    r"listener_manager\.listener_create_(success|failure)",
)


def bootstrap(settings: GatewaySettings) -> Json:
    return {
        "node": {"id": "bartizan", "cluster": "bartizan"},
        "admin": {"address": {"pipe": {"path": str(settings.admin_socket), "mode": _ADMIN_MODE}}},
        "static_resources": {"listeners": [listener(settings)], "clusters": clusters(settings)},
        # What the histograms' intervals hold: as long as monitoring waits between two looks.
        "stats_flush_interval": t.seconds(STATS_SECONDS),
        # The defaults touch every thread ten times a second; nothing is killed by these, they are logged.
        "watchdogs": {"main_thread_watchdog": _WATCHDOG, "worker_watchdog": _WATCHDOG},
        "layered_runtime": {"layers": [{"name": "static", "static_layer": _RUNTIME}]},
        "stats_config": {
            "stats_matcher": {
                "inclusion_list": {"patterns": [{"safe_regex": {"regex": pattern}} for pattern in _KEPT_STATS]}
            }
        },
        "application_log_config": {
            "log_format": {
                "json_format": {
                    "time": "%Y-%m-%dT%T.%e%z",
                    "level": "%l",
                    "event": "%j",
                    "server": "gateway",
                    "logger": "%n",
                }
            }
        },
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.resource_monitors."
                        "downstream_connections.v3.DownstreamConnectionsConfig",
                        "max_active_downstream_connections": _MOST_CONNECTIONS,
                    },
                }
            ]
        },
    }
