"""One look at all nine servers: everybody is asked at once, and what they said becomes families and a `Look`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from datetime import datetime
from typing import TypeVar

import structlog
from msgspec import Struct

from bartizan.model.event import EVENTS
from bartizan.model.job import Backlog
from bartizan.monitoring import ask, sources
from bartizan.monitoring.families import Collected
from bartizan.monitoring.ports import MonitoringPorts
from bartizan.monitoring.settings import MonitoringSettings
from bartizan.monitoring.sources import CacheReport, Database, DatabaseReport, GatewayReport, ProcessReport

log = structlog.get_logger()

T = TypeVar("T")

NINE = ("gateway", "auth", "frontend", "resource", "files", "worker", "cache", "database", "monitoring")
LAYOUT = {"web": ("auth", "frontend", "files"), "work": ("worker", "monitoring"), "agent": ("gateway",)}
EVENTS_EVERY = 30.0  # seconds: counting an hour of events costs a query
PREFIX = "http.gateway."


class Look(Struct, frozen=True, kw_only=True):
    """What one look saw."""

    at: float
    ready: dict[str, bool]
    processes: dict[str, ProcessReport | None]
    gateway: GatewayReport | None
    database: DatabaseReport | None
    cache: CacheReport | None
    backlog: tuple[Backlog, ...]
    collected: Collected


class Scraper:
    def __init__(self, settings: MonitoringSettings, ports: MonitoringPorts) -> None:
        self._settings = settings
        self._ports = ports
        self._database = Database(settings.database_url)
        self._events: list[tuple[datetime, str, int]] = []
        self._events_at = float("-inf")
        self._names = set(settings.processes)  # and whoever was seen since: who leaves is missed

    async def close(self) -> None:
        await self._database.close()

    async def look(self) -> Look:
        started = time.monotonic()
        settings = self._settings
        self._names |= {_process_name(path.name) for path in settings.sockets.glob("status-*.sock")}
        names = sorted(self._names)
        async with asyncio.TaskGroup() as group:
            reports = [group.create_task(sources.process(settings.sockets / f"status-{name}.sock")) for name in names]
            gateway = group.create_task(sources.envoy(settings.envoy_admin)) if settings.envoy_admin else None
            database = group.create_task(self._database.report()) if settings.database_url else None
            cache = group.create_task(sources.cache(settings.cache_url)) if settings.cache_url else None
            app = group.create_task(ask.reachable(settings.app.address)) if settings.app.address else None
            backlog = group.create_task(_or_nothing(self._backlog()))
            group.create_task(_or_nothing(self._count_events()))
        processes = {name: report.result() for name, report in zip(names, reports, strict=True)}
        seen = (_told(gateway), _told(database), _told(cache))
        look = Look(
            at=self._ports.clock().timestamp(),
            ready=self._ready(processes, *seen, _told(app)),
            processes=processes,
            gateway=seen[0],
            database=seen[1],
            cache=seen[2],
            backlog=tuple(backlog.result() or ()),
            collected=Collected(),
        )
        self._collect(look, time.monotonic() - started)
        return look

    def _ready(
        self,
        processes: dict[str, ProcessReport | None],
        gateway: GatewayReport | None,
        database: DatabaseReport | None,
        cache: CacheReport | None,
        app: bool | None,
    ) -> dict[str, bool]:
        """A server is ready when every kind of process that runs it is; of several workers one is enough. What nobody
        told us to watch is left out."""
        ready: dict[str, bool] = {"monitoring": True}
        kinds: dict[tuple[str, ...], bool] = {}
        for name, report in processes.items():
            kind = self._settings.processes.get(name) or servers_of(name)
            kinds[kind] = kinds.get(kind, False) or (report is not None and report.ready)
        for kind, one_is in kinds.items():
            for server in kind:
                if server != "monitoring":  # it answers: this is it
                    ready[server] = ready.get(server, True) and one_is
        if self._settings.envoy_admin is not None:
            ready["gateway"] = ready.get("gateway", True) and gateway is not None
        if self._settings.database_url:
            ready["database"] = database is not None
        if self._settings.cache_url:
            ready["cache"] = cache is not None
        if app is not None:
            ready["resource"] = app
        return ready

    async def _backlog(self) -> list[Backlog]:
        return [] if self._ports.store is None else await self._ports.store.backlog()

    async def _count_events(self) -> None:
        if self._ports.store is None or time.monotonic() - self._events_at < EVENTS_EVERY:
            return
        async with self._ports.store.reading() as records:
            self._events = await records.events.counts(tuple(EVENTS), hours=1)
        self._events_at = time.monotonic()

    def _collect(self, look: Look, seconds: float) -> None:
        out = look.collected
        for name, report in look.processes.items():
            out.add("bartizan_process_ready", float(report is not None and report.ready), process=name)
            for metric in report.metrics if report is not None else ():
                out.merge(metric, name)
        for server, ready in look.ready.items():
            out.add("bartizan_server_ready", float(ready), server=server)
        out.add("bartizan_scrape_seconds", seconds)
        if look.gateway is not None:
            _gateway(out, look.gateway)
        if look.database is not None:
            _database(out, look.database)
        if look.cache is not None:
            _cache(out, look.cache)
        for row in look.backlog:
            out.add("bartizan_jobs_waiting", row.waiting, kind=row.kind)
            out.add("bartizan_jobs_oldest_seconds", row.oldest_seconds, kind=row.kind)
            out.add("bartizan_jobs_parked", row.parked, kind=row.kind)
        counts = dict.fromkeys(EVENTS, 0)
        for _, code, number in self._events:
            counts[code] = counts.get(code, 0) + number
        for code, number in counts.items():
            out.add("bartizan_events_last_hour", number, code=code)


def servers_of(process: str) -> tuple[str, ...]:
    """The layout of `up`, or the names of the servers themselves."""
    return LAYOUT.get(process) or tuple(word for word in process.split("-") if word in NINE)


def _gateway(out: Collected, report: GatewayReport) -> None:
    numbers = report.numbers
    for group in ("1xx", "2xx", "3xx", "4xx", "5xx"):
        out.add("bartizan_gateway_requests", numbers.get(f"{PREFIX}downstream_rq_{group}", 0), status=group)
    out.add("bartizan_gateway_active_requests", numbers.get(f"{PREFIX}downstream_rq_active", 0))
    out.add("bartizan_gateway_refused_tokens", numbers.get(f"{PREFIX}jwt_authn.denied", 0))
    ended = sum(value for name, value in numbers.items() if name.startswith(f"{PREFIX}rbac.") and "denied" in name)
    out.add("bartizan_gateway_ended", ended)
    out.add("bartizan_gateway_limited", sum(v for name, v in numbers.items() if name.endswith(".rate_limited")))
    out.add("bartizan_gateway_memory_bytes", numbers.get("server.memory_allocated", 0))
    out.add("bartizan_gateway_uptime_seconds", numbers.get("server.uptime", 0))
    if report.p99_ms is not None:
        out.add("bartizan_gateway_request_p99_seconds", report.p99_ms / 1000)
    for name, value in numbers.items():
        if name.startswith("cluster.") and "upstream_rq_" in name:
            cluster, _, group = name.removeprefix("cluster.").rpartition(".upstream_rq_")
            out.add("bartizan_gateway_upstream_responses", value, upstream=cluster, status=group)


def _database(out: Collected, report: DatabaseReport) -> None:
    out.add("bartizan_database_transactions", report.commits, end="commit")
    out.add("bartizan_database_transactions", report.rollbacks, end="rollback")
    out.add("bartizan_database_connections", report.connections)
    out.add("bartizan_database_bytes", report.size)
    out.add("bartizan_database_deadlocks", report.deadlocks)
    out.add("bartizan_database_oldest_transaction_seconds", report.oldest_seconds)
    if report.hit_share is not None:
        out.add("bartizan_database_cache_hit_share", report.hit_share)
    if report.hot_share is not None:
        out.add("bartizan_database_hot_share", report.hot_share)


def _cache(out: Collected, report: CacheReport) -> None:
    out.add("bartizan_cache_memory_bytes", report.memory)
    out.add("bartizan_cache_memory_limit_bytes", report.limit)
    out.add("bartizan_cache_keys", report.keys)
    out.add("bartizan_cache_commands", report.commands)
    out.add("bartizan_cache_refused_writes", report.refused_writes)


def _told(task: asyncio.Task[T] | None) -> T | None:
    return None if task is None else task.result()


async def _or_nothing(asked: Awaitable[T]) -> T | None:
    """The store may be away, in any way it likes: monitoring is what goes on then."""
    try:
        return await asyncio.wait_for(asked, 3)
    except Exception as error:
        log.warning("monitoring.store_away", cause=type(error).__name__)
        return None


def _process_name(socket: str) -> str:
    return socket.removeprefix("status-").removesuffix(".sock")
