"""The worker (design §1, row 8): runs the jobs it is handed on PgQueuer, and knows no server.

A session is one connection to PostgreSQL, a second one while there is work, and all that hangs on them. When one goes,
the session ends: running handlers are cut (their results could not be recorded), and a new one is tried, with growing
waits.
Jobs that were under way are taken over when their lease runs out.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from uuid import UUID, uuid4

import asyncpg
import structlog
from asyncpg.exceptions import InterfaceError, PostgresError
from pgqueuer.db import AsyncpgDriver
from pgqueuer.domain.types import QueueExecutionMode
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
        async with self._connected(database_url) as queries:
            await QueueManager(queries).verify_structure()
            self.was_ready = True
            ready(True)
            await self._work(queries, database_url, stop)

    @asynccontextmanager
    async def _connected(self, database_url: str) -> AsyncIterator[Queries]:
        connection: asyncpg.Connection = await asyncpg.connect(  # type: ignore[no-untyped-call] # asyncpg has no types
            database_url, timeout=3, command_timeout=30
        )
        connection.add_termination_listener(self._lost)  # type: ignore[no-untyped-call] # as above
        try:
            yield Queries(AsyncpgDriver(connection))
        finally:
            connection.remove_termination_listener(self._lost)  # type: ignore[no-untyped-call] # as above
            with suppress(*LOST):
                await connection.close(timeout=0.5)  # type: ignore[no-untyped-call] # as above

    def _lost(self, _: object) -> None:
        self._over.set()
        self._executor.cut()

    def _manager(self, queries: Queries) -> QueueManager:
        manager = QueueManager(queries)
        for row in self._rows:
            if row.every is None:
                manager.entrypoint(row.kind, accepts_context=False, on_failure="hold", concurrency_limit=row.at_once)(
                    _handler(self._executor, row)
                )
        return manager

    async def _work(self, queries: Queries, database_url: str, stop: asyncio.Event) -> None:
        """Queue and recurring rows until stop, loss, or the failure of either."""
        trim = JobRow(kind="worker.trim", run=partial(_trim, queries, self._settings), every=TRIM_EVERY)
        recurring = Recurring(
            (*self._rows, trim), queries, self._executor, self._settings, self._meter, self._fraction, self._new_id
        )
        queue = asyncio.create_task(self._queue(queries, database_url))
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

    async def _queue(self, queries: Queries, database_url: str) -> None:
        """PgQueuer's manager looks ten times a second whether there is something to write down, a quarter of a percent
        of a core. So it runs while there is work, on a connection of its own, and whether there is any is heard here.

        A new job is announced by NOTIFY. Not so one whose worker died, or that was told of while nobody could listen.
        """
        told = asyncio.Event()
        await queries.driver.add_listener(QueueManager(queries).channel, lambda _: told.set())
        over = asyncio.create_task(self._over.wait())
        try:
            while not self._over.is_set():
                told.clear()
                if await self._work_waits(queries):
                    async with self._connected(database_url) as own:
                        await self._drain(self._manager(own))
                heard = asyncio.create_task(told.wait())
                await asyncio.wait({over, heard}, timeout=self._poll, return_when=asyncio.FIRST_COMPLETED)
                heard.cancel()
        finally:
            over.cancel()

    @property
    def _poll(self) -> float:
        return max(0.1, self._settings.tick_seconds)

    async def _work_waits(self, queries: Queries) -> bool:
        table = queries.qbe.settings.qualified.queue_table
        rows = await queries.driver.fetch(
            f"SELECT EXISTS (SELECT FROM {table} WHERE entrypoint = ANY ($1) AND (status = 'queued'"  # noqa: S608 - a constant name
            " OR status = 'picked' AND heartbeat < now() - $2::interval)) AS waits",
            [row.kind for row in self._rows if row.every is None],
            timedelta(seconds=self._settings.lease_seconds),
        )
        return bool(rows[0]["waits"])

    async def _drain(self, manager: QueueManager) -> None:
        """Until nothing is queued or under way; what is put off counts as queued."""
        over = asyncio.create_task(self._over.wait())
        over.add_done_callback(lambda _: manager.shutdown.set())
        try:
            await manager.run(
                mode=QueueExecutionMode.drain,
                dequeue_timeout=timedelta(seconds=self._poll),
                batch_size=min(BATCH, max(1, self._settings.concurrency // 2)),
                max_concurrent_tasks=self._settings.concurrency,
                heartbeat_timeout=timedelta(seconds=self._settings.lease_seconds),
            )
        finally:
            over.cancel()


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
