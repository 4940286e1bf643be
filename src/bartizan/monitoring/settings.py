"""What monitoring needs to know: whom to ask, how often, and where to answer (design §1, row 9)."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct, field


class AppTarget(Struct, frozen=True, kw_only=True):
    """The user's app: reachable or not is all we ask of it."""

    name: str = "resource"
    address: str = ""  # "http://127.0.0.1:5000" or "unix:/path/app.sock"; "": there is none


class MonitoringSettings(Struct, frozen=True, kw_only=True):
    """`sockets` holds every `status-<process>.sock`; each answers `/metrics` and `/readyz`."""

    sockets: Path
    # Processes that must be there, and what each runs: {"web": ("auth", "frontend", "files")}. Others are found by
    # their sockets; a name such as "auth-files" says what they run.
    processes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    envoy_admin: Path | None = None  # Envoy's admin socket; None: the gateway is elsewhere
    database_url: str = ""  # for pg_stat_*: "" leaves them out
    cache_url: str = ""  # "unix:///…/valkey.sock" or "valkey://host:port"; "" leaves it out
    app: AppTarget = AppTarget()
    host: str = "127.0.0.1"
    port: int = 9464  # Prometheus' door: `GET /metrics`
    interval_seconds: float = 15.0  # between looks that nobody asked for
    fresh_seconds: float = 5.0  # who asks is told of no older a look
    history_seconds: int = 3600  # rates kept in memory
