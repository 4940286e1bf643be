"""Recurring rows: one run at a time across all workers, by PgQueuer's schedules table.

Each row there is a lease. `fetch_schedule` picks the due ones with SKIP LOCKED and moves `next_run` on in the same
statement; a heartbeat keeps the lease, and another worker takes it over 30 s after the last beat. PgQueuer's own
scheduler speaks cron, whose finest step is a minute, so the loop is ours and the statements are its.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from uuid import UUID

import structlog
from pgqueuer.domain.models import CronExpressionEntrypoint, Schedule
from pgqueuer.domain.types import CronEntrypoint, CronExpression, ScheduleId
from pgqueuer.queries import Queries

from bartizan.model.job import Job, JobRow
from bartizan.model.meter import Meter
from bartizan.worker.backoff import Fraction, wait_seconds
from bartizan.worker.execute import Executor, Outcome
from bartizan.worker.settings import WorkerSettings

log = structlog.get_logger()

FIRST_SECONDS = 1  # a row that is new in this database runs right away, not after its first period
BEAT_SECONDS = 5.0

NewId = Callable[[], UUID]


class Recurring:
    def __init__(
        self,
        rows: tuple[JobRow, ...],
        queries: Queries,
        executor: Executor,
        settings: WorkerSettings,
        meter: Meter,
        fraction: Fraction,
        new_id: NewId,
    ) -> None:
        self._rows = {_key(row): row for row in rows if row.every is not None}
        self._queries = queries
        self._executor = executor
        self._settings = settings
        self._meter = meter
        self._fraction = fraction
        self._new_id = new_id
        self._failures: dict[str, int] = {}
        self._running: dict[ScheduleId, asyncio.Task[None]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; then waits for what runs (the executor's `cut` bounds that)."""
        if not self._rows:
            await stop.wait()
            return
        await self._settle()
        tick = min(self._settings.tick_seconds, *(float(row.every or 1) for row in self._rows.values()))
        beats = asyncio.create_task(self._beat())
        try:
            while not stop.is_set():
                await self._start_due()
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), tick)
            await asyncio.gather(*self._running.values())
        finally:
            beats.cancel()
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(beats, *self._running.values(), return_exceptions=True)

    async def _settle(self) -> None:
        """The table holds each of our rows once, with the period it has now."""
        kinds = {key.entrypoint for key in self._rows}
        known = await self._queries.peek_schedule()
        stale = {s.id for s in known if s.entrypoint in kinds and _key_of(s) not in self._rows}
        if stale:
            await self._queries.delete_schedule(stale, set())
        await self._queries.insert_schedule({key: timedelta(seconds=FIRST_SECONDS) for key in self._rows})

    async def _start_due(self) -> None:
        periods = {key: timedelta(seconds=row.every or 1) for key, row in self._rows.items()}
        for schedule in await self._queries.fetch_schedule(periods):
            if schedule.id not in self._running:
                task = asyncio.create_task(self._run_one(schedule))
                self._running[schedule.id] = task
                task.add_done_callback(partial(self._forget, schedule.id))

    def _forget(self, schedule_id: ScheduleId, _: asyncio.Task[None]) -> None:
        self._running.pop(schedule_id, None)

    async def _run_one(self, schedule: Schedule) -> None:
        row = self._rows[_key_of(schedule)]
        failure = await self._executor.attempt(row, Job(id=self._new_id(), kind=row.kind))
        if failure is None:
            self._failures.pop(row.kind, None)
        else:
            await self._again_soon(schedule, row, failure)
        await self._queries.set_schedule_queued({schedule.id})

    async def _again_soon(self, schedule: Schedule, row: JobRow, failure: BaseException) -> None:
        """A daily job that failed does not wait a day."""
        count = self._failures.get(row.kind, 0) + 1
        self._failures[row.kind] = count
        wait = min(wait_seconds(count, self._settings, self._fraction), float(row.every or 1))
        self._meter.count("jobs", kind=row.kind, outcome=Outcome.RETRY)
        log.warning("job.retry", kind=row.kind, attempt=count, wait=round(wait, 1), cause=type(failure).__name__)
        table = self._queries.qbe.settings.qualified.schedules_table
        await self._queries.driver.execute(
            f"UPDATE {table} SET next_run = least(next_run, now() + $2) WHERE id = $1",  # noqa: S608 - a constant name
            schedule.id,
            timedelta(seconds=wait),
        )

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            if self._running:
                await self._queries.update_schedule_heartbeat(set(self._running))


def _key(row: JobRow) -> CronExpressionEntrypoint:
    return CronExpressionEntrypoint(CronEntrypoint(row.kind), CronExpression(f"every {row.every} s"))


def _key_of(schedule: Schedule) -> CronExpressionEntrypoint:
    return CronExpressionEntrypoint(schedule.entrypoint, schedule.expression)
