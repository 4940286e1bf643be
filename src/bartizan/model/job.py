"""Jobs: enqueued in the caller's own transaction, run by the worker, which knows no server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol
from uuid import UUID

from msgspec import Struct, field


class Job(Struct, frozen=True, kw_only=True):
    id: UUID  # the outbox id: the same through every retry
    kind: str
    detail: dict[str, str] = field(default_factory=dict)
    attempt: int = 1


class JobRow(Struct, frozen=True, kw_only=True):
    """One row of a server's `jobs.py`. Raising retries with back-off; after `attempts` it is parked."""

    kind: str
    run: Callable[[Job], Awaitable[None]]
    every: int | None = None  # seconds; set: a recurring job, no detail
    attempts: int = 8
    seconds: int = 60  # longest run
    at_once: int = 0  # in all workers together; 0: as many as there is room. What may hang leaves room for the others


class Jobs(Protocol):
    """Part of a transaction."""

    async def enqueue(self, job: Job, *, delay_seconds: int = 0) -> None: ...


class Backlog(Struct, frozen=True, kw_only=True):
    kind: str
    waiting: int
    oldest_seconds: float
    parked: int
