"""Server 9: looks at everything every few seconds, and answers from the last look.

Two doors: `GET /metrics` for Prometheus, on loopback; `/overview` and `/history` on a Unix socket, for the console.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from ipaddress import ip_address

import msgspec
import structlog
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from starlette.types import ASGIApp, Receive, Scope, Send

from bartizan.model.health import Overview
from bartizan.monitoring.history import History
from bartizan.monitoring.overview import overview, point_of
from bartizan.monitoring.ports import MonitoringPorts
from bartizan.monitoring.scrape import Look, Scraper
from bartizan.monitoring.settings import MonitoringSettings

log = structlog.get_logger()

SERIES = ("gateway", "4xx", "5xx", "auth", "frontend", "files", "database", "jobs")
_PATIENCE = 0.5  # seconds that who asks waits for a fresh look
AWAY = (503, "application/json", b'{"error":"temporarily_unavailable"}')

Answer = tuple[int, str, bytes]


class Monitor:
    def __init__(self, settings: MonitoringSettings, ports: MonitoringPorts) -> None:
        self._settings = settings
        self._scraper = Scraper(settings, ports)
        self._history = History(settings.history_seconds, settings.fresh_seconds)
        self._look: Look | None = None
        self._looked_at = float("-inf")
        self._looking = asyncio.Lock()
        self._asked: asyncio.Task[None] | None = None

    async def run(self, stop: asyncio.Event) -> None:
        try:
            while not stop.is_set():
                await self.refresh()
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), self._settings.interval_seconds)
        finally:
            await self._scraper.close()

    async def fresh(self) -> None:
        """For who asks: one look for all who ask at once, and none if the last was a moment ago. Where a server does
        not answer, a look takes seconds: then the last one has to do."""
        if asyncio.get_running_loop().time() - self._looked_at < self._settings.fresh_seconds:
            return
        if self._asked is None or self._asked.done():
            self._asked = asyncio.create_task(self.refresh())
        await asyncio.wait({self._asked}, timeout=_PATIENCE)

    async def refresh(self) -> None:
        """One look. A defect in it costs this look, not the server."""
        async with self._looking:
            await self._refresh()

    async def _refresh(self) -> None:
        self._looked_at = asyncio.get_running_loop().time()
        try:
            look = await self._scraper.look()
        except Exception:
            log.exception("monitoring.look_failed")
            return
        self._history.add(point_of(look))
        self._look = look

    @property
    def host(self) -> str:
        return self._settings.host

    def overview(self) -> Overview | None:
        return None if self._look is None else overview(self._look, self._history)

    def metrics(self) -> Answer:
        if self._look is None:
            return AWAY
        return 200, CONTENT_TYPE_LATEST, generate_latest(_Families(self._look.collected.collect()))

    def overview_json(self) -> Answer:
        seen = self.overview()
        return AWAY if seen is None else (200, "application/json", msgspec.json.encode(seen))

    def history_json(self) -> Answer:
        series = {name: self._history.series(name) for name in SERIES}
        return 200, "application/json", msgspec.json.encode(series)


class _Families:
    """What `generate_latest` wants: something to collect from."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def metrics_app(monitor: Monitor) -> ASGIApp:
    """For 127.0.0.1:9464. On loopback it answers to this machine's own names alone: a page elsewhere can have its name
    lead here (DNS rebinding), and would read what a person's browser can reach."""
    app = _app(monitor, {"/metrics": monitor.metrics})
    return _own_names_only(app) if _is_local(monitor.host) else app


def overview_app(monitor: Monitor) -> ASGIApp:
    """For monitoring.sock."""
    return _app(
        monitor, {"/overview": monitor.overview_json, "/history": monitor.history_json, "/metrics": monitor.metrics}
    )


def _own_names_only(app: ASGIApp) -> ASGIApp:
    async def checked(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
            if not all(_is_local(_without_port(host)) for host in hosts):
                await _send(send, (421, "text/plain", b""))
                return
        await app(scope, receive, send)

    return checked


def _without_port(host: str) -> str:
    return host.rpartition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]


def _is_local(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def _app(
    monitor: Monitor, answers: dict[str, Callable[[], Answer]]
) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            answer = answers.get(scope["path"])
            if scope["method"] not in ("GET", "HEAD") or answer is None:
                await _send(send, (404 if answer is None else 405, "text/plain", b""))
            else:
                await monitor.fresh()
                await _send(send, answer())

    return app


async def _send(send: Send, answer: Answer) -> None:
    status, kind, body = answer
    headers = [
        (b"content-type", kind.encode("latin-1")),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if status == 503:
        headers.append((b"retry-after", b"2"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
