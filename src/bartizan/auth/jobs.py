"""The auth server's own jobs, run by the worker (§2: each server's jobs are a table; mails are in `mailjobs.py`)."""

from __future__ import annotations

from bartizan.auth import keys
from bartizan.auth.ports import Chance, Clock
from bartizan.auth.settings import AuthSettings
from bartizan.model.job import Job, JobRow
from bartizan.model.store import Store
from bartizan.protocol.secrets import KeyRing


def rows(settings: AuthSettings, store: Store, ring: KeyRing, clock: Clock, chance: Chance) -> tuple[JobRow, ...]:
    async def rotate(job: Job) -> None:
        async with store.transaction() as records:
            await records.ended.relieve()  # what two endings at once did not see of each other
        await keys.rotate(settings, store, ring, clock, chance)

    return (JobRow(kind="keys.rotate", run=rotate, every=60, seconds=30),)
