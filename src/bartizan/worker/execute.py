"""One job, run: its time limit, its retries, its end (design §1, row 8).

PgQueuer hands us a row; what comes of it is one of four outcomes. Whatever ends early, by a stop or by a lost
database, goes back to the queue as it was: the outbox id inside the payload never changes, so that a mail sent
twice carries one Message-ID.
"""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from enum import StrEnum

import msgspec
import structlog
from pgqueuer.errors import RetryRequested
from pgqueuer.models import Job as QueuedJob

from bartizan.model.job import Job, JobRow
from bartizan.model.meter import Meter
from bartizan.worker.backoff import Fraction, wait_seconds
from bartizan.worker.settings import WorkerSettings

log = structlog.get_logger()


class Outcome(StrEnum):
    DONE = "done"
    RETRY = "retry"
    PARKED = "parked"
    STOPPED = "stopped"  # cut short by a stop: runs again


class Parked(Exception):  # noqa: N818 - an outcome, not an error of ours: tells PgQueuer to hold the row
    """The job has used up its attempts, or cannot be read. Its row stays, visible in the backlog."""


class Executor:
    """Runs handlers for one session with the database; `cut` ends them all."""

    def __init__(self, settings: WorkerSettings, meter: Meter, fraction: Fraction) -> None:
        self._settings = settings
        self._meter = meter
        self._fraction = fraction
        self._cut = asyncio.Event()

    def cut(self) -> None:
        self._cut.set()

    async def run(self, row: JobRow, queued: QueuedJob) -> None:
        """Raises `RetryRequested` or `Parked`; returns when the job is done."""
        attempt = queued.attempts + 1
        job = _read(row.kind, queued.payload, attempt)
        failure = await self.attempt(row, job)
        if failure is None:
            return
        if isinstance(failure, _Cut):
            raise RetryRequested(timedelta(0), "stopped")
        if attempt >= row.attempts:
            self._meter.count("jobs", kind=row.kind, outcome=Outcome.PARKED)
            log.error("job.parked", kind=row.kind, job=str(job.id), attempt=attempt, cause=_cause(failure))
            raise Parked(_cause(failure))
        wait = wait_seconds(attempt, self._settings, self._fraction)
        self._meter.count("jobs", kind=row.kind, outcome=Outcome.RETRY)
        log.warning(
            "job.retry", kind=row.kind, job=str(job.id), attempt=attempt, wait=round(wait, 1), cause=_cause(failure)
        )
        raise RetryRequested(timedelta(seconds=wait), _cause(failure))

    async def attempt(self, row: JobRow, job: Job) -> BaseException | None:
        """Runs the handler once under its time limit. Gives what went wrong, or None."""
        if self._cut.is_set():
            return _Cut()
        started = time.monotonic()
        work = asyncio.ensure_future(row.run(job))
        cut = asyncio.ensure_future(self._cut.wait())
        try:
            await asyncio.wait({work, cut}, timeout=row.seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            cut.cancel()
            if not work.done():
                work.cancel()
                await asyncio.wait({work})
        return self._judge(row, job, work, time.monotonic() - started)

    def _judge(self, row: JobRow, job: Job, work: asyncio.Future[None], seconds: float) -> BaseException | None:
        if work.cancelled():
            if self._cut.is_set():
                self._meter.count("jobs", kind=row.kind, outcome=Outcome.STOPPED)
                return _Cut()
            return TimeoutError(f"ran longer than {row.seconds} s")
        failure = work.exception()
        if failure is None:
            self._meter.count("jobs", kind=row.kind, outcome=Outcome.DONE)
            self._meter.observe("job", seconds, kind=row.kind)
            log.info("job.done", kind=row.kind, job=str(job.id), attempt=job.attempt, seconds=round(seconds, 3))
        return failure


class _Cut(Exception):  # noqa: N818 - see Parked
    """Ended by `Executor.cut`."""


def _read(kind: str, payload: bytes | None, attempt: int) -> Job:
    """The payload is the msgspec JSON of a `Job`, as the enqueue port of `database` writes it."""
    try:
        job = msgspec.json.decode(payload or b"", type=Job)
    except msgspec.MsgspecError as error:
        log.error("job.unreadable", kind=kind)
        raise Parked("payload is not a job") from error
    return msgspec.structs.replace(job, attempt=attempt)


def _cause(failure: BaseException) -> str:
    """The kind of failure alone: a message may quote an address or a mail."""
    return type(failure).__name__
