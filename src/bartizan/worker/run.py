"""The worker (design §1, row 8): runs the jobs it is handed on PgQueuer, and knows no server.

A session is one connection to PostgreSQL with everything that hangs on it. When the connection goes, the session
ends: running handlers are cut (their results could not be recorded), and a new one is tried with growing waits.
Jobs that were under way are taken over when their lease runs out.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from uuid import UUID, uuid4

import asyncpg
import structlog
from asyncpg.exceptions import InterfaceError, PostgresError
from pgqueuer.db import AsyncpgDriver
from pgqueuer.errors import PgqException
from pgqueuer.models import Job as QueuedJob
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries

from bartizan.model.job import Job, JobRow
from bartizan.model.meter import Meter
from bartizan.worker.backoff import Fraction
from bartizan.worker.execute import Executor
from bartizan.worker.recurring import Recurring
from bartizan.worker.settings import WorkerSettings

log = structlog.get_logger()

RECONNECT_FIRST = 0.1
RECONNECT_CAP = 2.0
BATCH = 10
LOST = (OSError, PostgresError, InterfaceError, TimeoutError)  # what a vanished database looks like
TRIM_EVERY = 3600


async def run(
    settings: WorkerSettings,
    rows: tuple[JobRow, ...],
    database_url: str,
    meter: Meter,
    *,
    stop: asyncio.Event,
    ready: Callable[[bool], None] = lambda _: None,
    fraction: Fraction = random.random,
    new_id: Callable[[], UUID] = uuid4,
) -> None:
    """Works until `stop` is set; then at most `stop_seconds` more. `ready` hears whether jobs are taken."""
    kinds = [row.kind for row in rows]
    if len(kinds) != len(set(kinds)):
        raise ValueError("two job rows have one kind")
    wait = RECONNECT_FIRST
    while not stop.is_set():
        session = _Session(settings, rows, meter, fraction, new_id)
        try:
            await session.run(database_url, stop, ready)
        except (*LOST, PgqException, RuntimeError) as error:
            # RuntimeError: PgQueuer's tables are not there yet; `migrate` makes them.
            log.warning("worker.database_away", cause=type(error).__name__, wait=wait)
        ready(False)
        if session.was_ready:
            wait = RECONNECT_FIRST
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), wait)
        wait = min(RECONNECT_CAP, wait * 2)


class _Session:
    def __init__(
        self,
        settings: WorkerSettings,
        rows: tuple[JobRow, ...],
        meter: Meter,
        fraction: Fraction,
        new_id: Callable[[], UUID],
    ) -> None:
        self.was_ready = False
        self._settings = settings
        self._rows = rows
        self._meter = meter
        self._fraction = fraction
        self._new_id = new_id
        self._executor = Executor(settings, meter, fraction)
        self._over = asyncio.Event()

    async def run(self, database_url: str, stop: asyncio.Event, ready: Callable[[bool], None]) -> None:
        connection: asyncpg.Connection = await asyncpg.connect(  # type: ignore[no-untyped-call] # asyncpg has no types
            database_url, timeout=3, command_timeout=30
        )
        connection.add_termination_listener(self._lost)  # type: ignore[no-untyped-call] # as above
        try:
            queries = Queries(AsyncpgDriver(connection))
            manager = self._manager(queries)
            await manager.verify_structure()
            self.was_ready = True
            ready(True)
            await self._work(manager, queries, stop)
        finally:
            with suppress(*LOST):
                await connection.close(timeout=0.5)  # type: ignore[no-untyped-call] # as above

    def _lost(self, _: object) -> None:
        self._over.set()
        self._executor.cut()

    def _manager(self, queries: Queries) -> QueueManager:
        manager = QueueManager(queries)
        manager.shutdown = self._over
        for row in self._rows:
            if row.every is None:
                manager.entrypoint(row.kind, accepts_context=False, on_failure="hold", concurrency_limit=row.at_once)(
                    _handler(self._executor, row)
                )
        return manager

    async def _work(self, manager: QueueManager, queries: Queries, stop: asyncio.Event) -> None:
        """Queue and recurring rows until stop, loss, or the failure of either."""
        trim = JobRow(kind="worker.trim", run=partial(_trim, queries, self._settings), every=TRIM_EVERY)
        recurring = Recurring(
            (*self._rows, trim), queries, self._executor, self._settings, self._meter, self._fraction, self._new_id
        )
        # A new job is announced by NOTIFY, and PgQueuer wakes for the next one that is put off. What it may miss is the
        # first retry of a quiet while, which it began to wait before: so look from time to time.
        poll = max(0.1, self._settings.tick_seconds)
        queue = asyncio.create_task(
            manager.run(
                dequeue_timeout=timedelta(seconds=poll),
                batch_size=min(BATCH, max(1, self._settings.concurrency // 2)),
                max_concurrent_tasks=self._settings.concurrency,
                shutdown_on_listener_failure=True,
                heartbeat_timeout=timedelta(seconds=self._settings.lease_seconds),
            )
        )
        again = asyncio.create_task(recurring.run(self._over))
        told = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({queue, again, told}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._over.set()
            asyncio.get_running_loop().call_later(self._settings.stop_seconds, self._executor.cut)
            told.cancel()
            outcomes = await asyncio.gather(queue, again, told, return_exceptions=True)
        for outcome in outcomes[:2]:
            if isinstance(outcome, Exception):
                raise outcome


def _handler(executor: Executor, row: JobRow) -> Callable[[QueuedJob], Awaitable[None]]:
    async def handle(queued: QueuedJob) -> None:
        await executor.run(row, queued)

    return handle


async def _trim(queries: Queries, settings: WorkerSettings, _: Job) -> None:
    """PgQueuer keeps a log of every job and the rows that were parked: both end after `keep_days` (design §4)."""
    names = queries.qbe.settings.qualified
    age = timedelta(days=settings.keep_days)
    for statement in (
        f"DELETE FROM {names.queue_table_log} WHERE created < now() - $1::interval",  # noqa: S608 - constant names
        f"DELETE FROM {names.statistics_table} WHERE created < now() - $1::interval",  # noqa: S608
        f"DELETE FROM {names.queue_table} WHERE status = 'failed' AND updated < now() - $1::interval",  # noqa: S608
    ):
        await queries.driver.execute(statement, age)
