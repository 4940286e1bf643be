"""House rule 13: the one place that builds. A function a server, constructors top to bottom.

Heavy rooms are imported where they are built, so that a process pays for its own servers only.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import structlog

from bartizan.protocol.refusal import Unavailable
from bartizan.stack import compile as compiled
from bartizan.stack import descriptors, parts, workers
from bartizan.stack.effective import Effective
from bartizan.stack.listen import Door, listen, stop_on_signals
from bartizan.stack.parts import Parts
from bartizan.stack.proc import cores
from bartizan.stack.settled import encode
from bartizan.web.status import Check, status_app

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from bartizan.auth.ports import AuthPorts
    from bartizan.files.ports import FilesPorts
    from bartizan.frontend.ports import FrontendPorts
    from bartizan.frontend.settings import FrontendSettings
    from bartizan.frontend.way import Way
    from bartizan.gateway.settings import OwnServer
    from bartizan.model.job import JobRow

log = structlog.get_logger()


class Process:
    """What this process is made of, while it is built."""

    def __init__(self, name: str, handed: Parts, stop: asyncio.Event) -> None:
        self.name = name
        self.worker = workers.number_of(name)  # which of the web processes
        self.parts = handed
        self.stop = stop
        self.doors: list[Door] = []
        self.checks: dict[str, Check] = {"database": handed.store.ready, "descriptors": descriptors.enough}
        self.auth: ASGIApp | None = None  # where it lives in this process
        self._running: list[asyncio.Task[None]] = []

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Beside the doors. Its end before the stop is a defect that ends the process: the supervisor starts anew."""
        task = asyncio.create_task(work)
        task.add_done_callback(self._over)
        self._running.append(task)

    def _over(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (wrong := task.exception()) is not None:
            log.error("defect", exc_info=wrong)
            self.stop.set()

    async def serve(self) -> None:
        status = status_app(self.name, self.checks, self.parts.meter.render)
        self.doors.append(Door(status, self.parts.at.socket(f"status-{self.name}.sock")))
        try:
            await listen(tuple(self.doors), self.stop, self.parts.at.uid)
        finally:
            self.stop.set()
            await asyncio.gather(*self._running, return_exceptions=True)
            await self.parts.close()


async def serve(at: Effective, servers: tuple[str, ...], name: str) -> None:
    """Builds the named servers and runs them until SIGTERM."""
    stop = stop_on_signals()
    process = Process(name, await parts.live(at), stop)
    for server, build in BUILDERS.items():
        if server in servers:
            build(process)
    await process.serve()


def auth(process: Process) -> None:
    from bartizan.auth.app import build

    at = process.parts.at
    ports = auth_ports(process.parts)
    process.auth = build(compiled.auth(at), ports)
    process.doors.append(Door(process.auth, workers.socket(at, "auth", process.worker)))
    if process.worker == 1:  # one puts the data right for all
        settled = asyncio.Event()
        process.checks["settled"] = _set(settled)
        process.run(_settle(process, ports, settled))


def frontend(process: Process) -> None:
    from bartizan.frontend.app import build

    at = process.parts.at
    app = build(compiled.frontend(at, process.worker), frontend_ports(process.parts, process.auth))
    process.doors.append(Door(app, workers.socket(at, "frontend", process.worker)))


def files(process: Process) -> None:
    from bartizan.files.app import build

    at = process.parts.at
    app = build(compiled.files(at), files_ports(process.parts, process.worker))
    process.doors.append(Door(app, workers.socket(at, "files", process.worker)))


def worker(process: Process) -> None:
    """Runs the rows that it is handed; on localhost also catches the mail that it sends."""
    from bartizan.worker.run import run

    handed, at = process.parts, process.parts.at
    takes_jobs = asyncio.Event()

    def ready(now: bool) -> None:
        (takes_jobs.set if now else takes_jobs.clear)()

    rows = job_rows(handed)
    process.checks["jobs"] = _set(takes_jobs)
    process.run(run(compiled.worker(at), rows, compiled.database_url(at), handed.meter, stop=process.stop, ready=ready))
    if compiled.has_inbox(at):
        _inbox(process)


def _inbox(process: Process) -> None:
    from bartizan.worker.inbox.app import build
    from bartizan.worker.inbox.box import Box
    from bartizan.worker.inbox.sink import listening

    handed, settings = process.parts, compiled.inbox(process.parts.at)
    box = Box(settings, handed.clock, handed.chance)

    async def catch() -> None:
        async with listening(settings, box):
            await process.stop.wait()

    process.run(catch())
    process.doors.append(Door(build(settings, box, handed.clock), handed.at.socket("inbox.sock")))


def job_rows(handed: Parts) -> tuple[JobRow, ...]:
    """Every server's jobs, a table each."""
    from bartizan.auth import jobs as auth_jobs
    from bartizan.auth import mailjobs
    from bartizan.auth.keys import SigningKeys
    from bartizan.database import jobs as database_jobs
    from bartizan.files import jobs as files_jobs
    from bartizan.monitoring import jobs as monitoring_jobs
    from bartizan.worker.smtp import SmtpMailer

    settings = compiled.auth(handed.at)
    mailer = SmtpMailer(compiled.smtp(handed.at), handed.clock)
    keys = SigningKeys(settings, handed.store, handed.ring, handed.clock, handed.chance)

    async def sign(digest: bytes) -> str:
        return (await keys.signer()).sign(monitoring_jobs.claims(digest), monitoring_jobs.SEAL_TYP)

    return (
        *database_jobs.rows(handed.store, handed.clock),
        *auth_jobs.rows(settings, handed.store, handed.ring, handed.clock, handed.chance),
        *files_jobs.rows(compiled.files(handed.at), handed.store),
        *mailjobs.rows(settings, handed.store, handed.ring, mailer),
        *monitoring_jobs.rows(handed.store, sign),
    )


def monitoring(process: Process) -> None:
    from bartizan.monitoring.ports import MonitoringPorts
    from bartizan.monitoring.server import Monitor, metrics_app, overview_app

    handed, settings = process.parts, compiled.monitoring(process.parts.at)
    ports = MonitoringPorts(meter=handed.meter, store=handed.store, clock=handed.clock)
    monitor = Monitor(settings, ports)
    process.run(monitor.run(process.stop))
    process.doors.append(Door(metrics_app(monitor), (settings.host, settings.port)))
    process.doors.append(Door(overview_app(monitor), handed.at.socket("monitoring.sock")))


BUILDERS: dict[str, Callable[[Process], None]] = {
    "auth": auth,
    "frontend": frontend,
    "files": files,
    "worker": worker,
    "monitoring": monitoring,
}


def auth_ports(handed: Parts) -> AuthPorts:
    from bartizan.auth.passwords import PasswordPool, threads_for
    from bartizan.auth.ports import AuthPorts
    from bartizan.monitoring.health_client import HealthClient

    return AuthPorts(
        store=handed.store,
        limits=handed.cache.limits,
        ring=handed.ring,
        meter=handed.meter,
        health=HealthClient(handed.at.socket("monitoring.sock")),
        clock=handed.clock,
        chance=handed.chance,
        passwords=PasswordPool(threads_for(cores(), handed.at.config.auth.workers)),
    )


def frontend_ports(handed: Parts, auth: ASGIApp | None = None) -> FrontendPorts:
    from bartizan.frontend.ports import FrontendPorts

    return FrontendPorts(
        way=_way_to_auth(compiled.frontend(handed.at), auth),
        store=handed.store,
        limits=handed.cache.limits,
        ring=handed.ring,
        meter=handed.meter,
        clock=handed.clock,
        chance=handed.chance,
    )


def _way_to_auth(settings: FrontendSettings, auth: ASGIApp | None) -> Way:
    """Called where it is in this process, else asked by HTTP (decision 0010)."""
    if auth is not None:
        from bartizan.frontend.way_inside import Inside

        return Inside(auth, settings.id_origin)
    from bartizan.frontend.way_outside import Outside

    return Outside(settings.auth_address, settings.id_origin)


async def _unasked(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("tables alone ask nobody")


def files_ports(handed: Parts, worker: int = 1) -> FilesPorts:
    """The auth server that it asks is the one in its own process, if there is one: they live and die together."""
    from bartizan.files.checks import GuardChecks
    from bartizan.files.ports import FilesPorts
    from bartizan.guard.keys import Watch

    settings = compiled.files(handed.at)
    watch = Watch(settings.issuer, address=compiled.auth_address(handed.at, worker))
    return FilesPorts(
        store=handed.store,
        ring=handed.ring,
        checks=GuardChecks(settings, watch),
        meter=handed.meter,
        clock=handed.clock,
        chance=handed.chance,
    )


def own_servers(handed: Parts) -> tuple[OwnServer, ...]:
    """Our servers' tables, as the gateway compiles them and `routes` lists them."""
    from bartizan.auth import routes as auth_routes
    from bartizan.files import routes as files_routes
    from bartizan.frontend import routes as frontend_routes
    from bartizan.gateway.settings import OwnServer
    from bartizan.model.route import Origin

    at = handed.at
    uploads = files_routes.routes(compiled.files(at), files_ports(handed))
    tables = {
        "auth": auth_routes.routes(compiled.auth(at), auth_ports(handed)),
        "frontend": frontend_routes.routes(compiled.frontend(at), frontend_ports(handed, _unasked)),
        "files": tuple(row for row in uploads if at.config.files.enabled or row.origin is Origin.FILES),
    }
    rows = []
    for name, routes in tables.items():
        first, *others = workers.sockets(at, name)
        rows.append(OwnServer(name=name, socket=first, others=tuple(others), routes=routes))
    if compiled.has_inbox(at):
        rows.append(OwnServer(name="inbox", socket=at.socket("inbox.sock"), prefixes=((Origin.ID, "/dev/inbox"),)))
    return tuple(rows)


async def _settle(process: Process, ports: AuthPorts, settled: asyncio.Event) -> None:
    """The file's clients at each start; people and the first admin's link when `up` waits for them."""
    from bartizan.gateway import envoy
    from bartizan.stack import settle

    at, answer = process.parts.at, os.environ.pop("BARTIZAN_ANSWER", None)
    if answer is not None:
        envoy.prepare(compiled.gateway(at, own_servers(process.parts)))
    while not await ports.store.ready():
        if process.stop.is_set():
            return
        await asyncio.sleep(0.02)  # the schema is brought up beside us: ready is a question, nobody announces it
    if answer is None:
        await _clients_alone(process, ports)
    else:
        told = encode(await settle.settle(at, ports.store, ports.ring, ports.passwords))
        with os.fdopen(int(answer), "wb") as out:
            out.write(told)
    settled.set()


async def _clients_alone(process: Process, ports: AuthPorts) -> None:
    """Another node may be putting the same rows right, or the database may go away meanwhile: then once more."""
    from bartizan.stack import settle

    while not process.stop.is_set():
        try:
            await settle.clients_alone(process.parts.at, ports.store, ports.ring)
            return
        except Unavailable as away:
            log.warning("unavailable", what=away.what, path="the clients of the file")
            await asyncio.sleep(away.retry_after / 10)


def _set(event: asyncio.Event) -> Check:
    async def check() -> bool:
        return event.is_set()

    return check
