"""The enqueue port: PgQueuer's own statement on the caller's connection, so that a rollback leaves no job.

The statement lies in the database as `job_enqueue` (migration 0002): who only enqueues does not import PgQueuer.
"""

from __future__ import annotations

from datetime import timedelta

import msgspec

from bartizan.database.within import Within
from bartizan.model.job import Backlog, Job


class PostgresJobs:
    def __init__(self, within: Within) -> None:
        self._connection = within.connection

    async def enqueue(self, job: Job, *, delay_seconds: int = 0) -> None:
        """The outbox id is the key of its uniqueness: the same job twice is one."""
        await self._connection.execute(
            "SELECT FROM job_enqueue($1, $2, $3, $4, $5, $6) AS made (ord bigint, id bigint)",
            [0],
            [job.kind],
            [msgspec.json.encode(job)],
            [timedelta(seconds=delay_seconds)],
            [str(job.id)],
            ["null"],
        )


async def backlog(within: Within) -> list[Backlog]:
    """A parked job is one that PgQueuer holds as failed."""
    rows = await within.connection.fetch(
        """
        SELECT entrypoint AS kind, count(*) FILTER (WHERE status IN ('queued', 'picked')) AS waiting,
               coalesce(extract(epoch FROM now() - min(created) FILTER (
                   WHERE status IN ('queued', 'picked') AND execute_after <= now()
               ))::float8, 0) AS oldest_seconds,
               count(*) FILTER (WHERE status = 'failed') AS parked
        FROM pgqueuer GROUP BY entrypoint ORDER BY entrypoint
        """
    )
    return [msgspec.convert(dict(row), Backlog) for row in rows]
