"""The worker on a real PostgreSQL: retries, parking, stops, lost connections, one run of a recurring row."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
from pgqueuer.queries import Queries
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.waiting import comes_true

from bartizan.model.job import Job, JobRow
from bartizan.monitoring.meter import PrometheusMeter
from bartizan.worker.run import run
from bartizan.worker.settings import WorkerSettings

pytestmark = pytest.mark.engine

QUICK = WorkerSettings(retry_first=0.05, retry_factor=1.0, lease_seconds=1.0, tick_seconds=0.1, stop_seconds=0.3)


async def connect(url: str) -> Any:
    return await asyncpg.connect(url)  # type: ignore[no-untyped-call] # asyncpg has no types


async def enqueue(url: str, kind: str, **detail: str) -> UUID:
    job = Job(id=uuid4(), kind=kind, detail=detail)
    connection = await connect(url)
    try:
        await Queries.from_asyncpg_connection(connection).enqueue(kind, msgspec.json.encode(job))
    finally:
        await connection.close()
    return job.id


async def statuses(url: str) -> list[tuple[str, str, int]]:
    connection = await connect(url)
    try:
        rows = await connection.fetch("SELECT entrypoint, status::text, attempts FROM pgqueuer ORDER BY id")
    finally:
        await connection.close()
    return [tuple(row) for row in rows]


async def nothing_left(url: str) -> bool:
    """Done, and that is committed."""
    return await statuses(url) == []


@asynccontextmanager
async def working(url: str, *rows: JobRow, settings: WorkerSettings = QUICK) -> AsyncIterator[asyncio.Event]:
    """A worker that runs during the block; a failure of it fails the test."""
    stop, ready = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(
        run(settings, rows, url, PrometheusMeter(), stop=stop, ready=lambda yes: ready.set() if yes else ready.clear())
    )
    await asyncio.wait({task, asyncio.ensure_future(ready.wait())}, return_when=asyncio.FIRST_COMPLETED)
    try:
        yield stop
    finally:
        stop.set()
        await asyncio.wait_for(task, 5)


def test_a_job_is_retried_under_one_id_until_it_is_done(empty_database_url: str) -> None:
    seen: list[Job] = []

    async def flaky(job: Job) -> None:
        seen.append(job)
        if job.attempt < 3:
            raise OSError("mail server away")

    async def walk() -> None:
        async with working(empty_database_url, JobRow(kind="mail", run=flaky)):
            job_id = await enqueue(empty_database_url, "mail", to="alice")
            await comes_true(lambda: len(seen) == 3)
            assert {job.id for job in seen} == {job_id}
            assert [job.attempt for job in seen] == [1, 2, 3]
            assert seen[0].detail == {"to": "alice"}
        assert await statuses(empty_database_url) == []

    asyncio.run(walk())


def test_a_worker_without_work_holds_one_connection_and_hears_of_work_at_once(empty_database_url: str) -> None:
    done: list[float] = []

    async def note(_: Job) -> None:
        done.append(time.monotonic())

    async def connections() -> int:
        connection = await connect(empty_database_url)
        try:
            counted: int = await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        finally:
            await connection.close()
        return counted

    async def idle() -> bool:
        return await connections() == 1

    async def work() -> None:
        slow = msgspec.structs.replace(QUICK, tick_seconds=2.0)
        async with working(empty_database_url, JobRow(kind="note", run=note), settings=slow):
            for number in (1, 2):
                await comes_true(idle)
                await asyncio.sleep(0.3)  # it has looked, and waits
                began = time.monotonic()
                await enqueue(empty_database_url, "note")
                await comes_true(lambda number=number: len(done) == number)
                assert done[-1] - began < 1
            await comes_true(idle)

    asyncio.run(work())


def test_a_job_that_never_succeeds_is_parked_and_seen(empty_database_url: str) -> None:
    runs = 0

    async def broken(_: Job) -> None:
        nonlocal runs
        runs += 1
        raise ValueError("always")

    async def parked() -> bool:
        return [row[1] for row in await statuses(empty_database_url)] == ["failed"]

    async def walk() -> None:
        async with working(empty_database_url, JobRow(kind="mail", run=broken, attempts=3)):
            await enqueue(empty_database_url, "mail")
            await comes_true(parked)

    asyncio.run(walk())
    assert runs == 3


def test_a_payload_that_is_no_job_is_parked_and_does_not_stop_the_rest(empty_database_url: str) -> None:
    done = asyncio.Event()

    async def fine(_: Job) -> None:
        done.set()

    async def walk() -> None:
        connection = await connect(empty_database_url)
        await Queries.from_asyncpg_connection(connection).enqueue("mail", b"{not a job")
        await connection.close()
        async with working(empty_database_url, JobRow(kind="mail", run=fine)):
            await enqueue(empty_database_url, "mail")
            await asyncio.wait_for(done.wait(), 10)
        assert [row[1] for row in await statuses(empty_database_url)] == ["failed"]

    asyncio.run(walk())


def test_a_job_over_its_time_is_cut_and_tried_again(empty_database_url: str) -> None:
    attempts: list[int] = []

    async def slow(job: Job) -> None:
        attempts.append(job.attempt)
        if job.attempt == 1:
            await asyncio.sleep(60)

    async def walk() -> None:
        async with working(empty_database_url, JobRow(kind="thumb", run=slow, seconds=1)):
            await enqueue(empty_database_url, "thumb")
            await comes_true(lambda: attempts == [1, 2])

    asyncio.run(walk())


def test_a_stop_takes_under_two_seconds_and_loses_no_job(empty_database_url: str) -> None:
    begun: list[int] = []
    finished: list[int] = []

    async def long(job: Job) -> None:
        begun.append(job.attempt)
        await asyncio.sleep(60 if job.attempt == 1 else 0)
        finished.append(job.attempt)

    async def walk() -> None:
        row = JobRow(kind="mail", run=long)
        async with working(empty_database_url, row):
            await enqueue(empty_database_url, "mail")
            await comes_true(lambda: begun == [1])
            stopped = time.monotonic()
        assert time.monotonic() - stopped < 2
        assert [row[:2] for row in await statuses(empty_database_url)] == [("mail", "queued")]
        async with working(empty_database_url, row):
            await comes_true(lambda: finished == [2])

    asyncio.run(walk())


def test_many_workers_run_a_recurring_row_once_a_period(empty_database_url: str) -> None:
    runs: list[float] = []

    async def tick(_: Job) -> None:
        runs.append(time.monotonic())

    async def walk() -> None:
        row = JobRow(kind="purge", run=tick, every=2)
        async with (
            working(empty_database_url, row),
            working(empty_database_url, row),
            working(empty_database_url, row),
        ):
            await comes_true(lambda: len(runs) >= 3)

    asyncio.run(walk())
    gaps = [later - earlier for earlier, later in pairwise(runs)]
    assert all(gap > 0.9 for gap in gaps), gaps  # whole seconds in the table, so a period of 2 may come after 1


def test_a_recurring_row_that_fails_comes_again_long_before_its_period(empty_database_url: str) -> None:
    runs: list[int] = []

    async def tick(_: Job) -> None:
        runs.append(1)
        if len(runs) == 1:
            raise OSError("away")

    async def walk() -> None:
        async with working(empty_database_url, JobRow(kind="purge", run=tick, every=86400)):
            await comes_true(lambda: len(runs) == 2)

    asyncio.run(walk())


def test_a_changed_period_takes_hold(empty_database_url: str) -> None:
    runs: list[int] = []

    async def tick(_: Job) -> None:
        runs.append(1)

    async def walk() -> None:
        async with working(empty_database_url, JobRow(kind="purge", run=tick, every=86400)):
            await comes_true(lambda: len(runs) == 1)
        async with working(empty_database_url, JobRow(kind="purge", run=tick, every=1)):
            await comes_true(lambda: len(runs) == 3)

    asyncio.run(walk())


def test_work_goes_on_after_postgresql_was_killed(postgres: PostgresServer, empty_database_url: str) -> None:
    done: list[str] = []

    async def note(job: Job) -> None:
        done.append(job.detail["n"])

    async def walk() -> None:
        async with working(empty_database_url, JobRow(kind="mail", run=note)):
            await enqueue(empty_database_url, "mail", n="before")
            await comes_true(partial(nothing_left, empty_database_url))
            await asyncio.to_thread(postgres.kill)
            await asyncio.to_thread(postgres.start)
            await enqueue(empty_database_url, "mail", n="after")
            await comes_true(lambda: done == ["before", "after"], 8)

    asyncio.run(walk())


def test_a_job_under_way_when_the_connection_goes_is_done_by_somebody(empty_database_url: str) -> None:
    """Its end could not be recorded, so it runs again when its lease is over: at least once, under the same id."""
    seen: list[UUID] = []

    async def slow(job: Job) -> None:
        seen.append(job.id)
        await asyncio.sleep(30 if len(seen) == 1 else 0)

    async def cut_connections() -> None:
        connection = await connect(empty_database_url)
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await connection.close()

    async def walk() -> None:
        async with working(empty_database_url, JobRow(kind="mail", run=slow)):
            job_id = await enqueue(empty_database_url, "mail")
            await comes_true(lambda: len(seen) == 1)
            await cut_connections()
            await comes_true(lambda: seen == [job_id, job_id], 15)

    asyncio.run(walk())


def test_without_its_tables_the_worker_waits_for_migrate(postgres: PostgresServer) -> None:
    url = postgres.new_database()

    async def never(_: Job) -> None:
        raise AssertionError

    async def walk() -> None:
        stop = asyncio.Event()
        heard: list[bool] = []
        task = asyncio.create_task(
            run(QUICK, (JobRow(kind="x", run=never),), url, PrometheusMeter(), stop=stop, ready=heard.append)
        )
        await comes_true(lambda: len(heard) >= 2)
        stop.set()
        await asyncio.wait_for(task, 2)
        assert not any(heard)

    asyncio.run(walk())
