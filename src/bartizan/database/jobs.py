"""The database's own jobs: days made ahead, what is dead pruned, what is old purged."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from bartizan.database.purge import make_days, prune, purge
from bartizan.database.store import PostgresStore
from bartizan.model.job import Job, JobRow

Clock = Callable[[], datetime]


def _now() -> datetime:
    return datetime.now(UTC)


def rows(store: PostgresStore, clock: Clock = _now) -> tuple[JobRow, ...]:
    async def run_days(_: Job) -> None:
        await make_days(store, clock())

    async def run_prune(_: Job) -> None:
        await prune(store, clock())

    async def run_purge(_: Job) -> None:
        await purge(store, clock())

    return (
        JobRow(kind="database.days", run=run_days, every=6 * 3600),
        JobRow(kind="database.prune", run=run_prune, every=600, seconds=300),
        JobRow(kind="database.purge", run=run_purge, every=3600, seconds=300),
    )
