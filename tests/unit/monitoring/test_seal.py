"""Sealed segments: a changed, dropped, added or moved row breaks the chain; a purge does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import msgspec
import pytest

from bartizan.model.event import Seal, StoredEvent
from bartizan.model.store import Store
from bartizan.monitoring.jobs import Broken, rows, seal, verify_chain

START = datetime(2030, 1, 1, tzinfo=UTC)


def event(number: int) -> StoredEvent:
    return StoredEvent(
        id=UUID(int=number), at=START + timedelta(seconds=number), code="signin.done", user_id=UUID(int=7),
        client_id="spa", session_id=None, gid=None, request_id=f"r{number}", address_hash=b"\x01\x02",
        network="203.0.113.0/24", detail={"b": "2", "a": "1"},
    )  # fmt: skip


class Log:
    """Events and seals as the port keeps them."""

    def __init__(self) -> None:
        self.waiting: list[StoredEvent] = []
        self.seals: list[Seal] = []
        self.segments: dict[int, list[StoredEvent]] = {}

    async def unsealed(self, *, limit: int) -> list[StoredEvent]:
        return self.waiting[:limit]

    async def last_seal(self) -> Seal | None:
        return self.seals[-1] if self.seals else None

    async def add_seal(self, one: Seal) -> None:
        self.seals.append(one)
        self.segments[one.number] = self.waiting[: one.rows]
        self.waiting = self.waiting[one.rows :]

    def store(self) -> Store:
        @asynccontextmanager
        async def transaction() -> AsyncIterator[Any]:
            yield SimpleNamespace(events=self)

        return cast(Store, SimpleNamespace(transaction=transaction))


async def sign(digest: bytes) -> str:
    return sha256(b"key" + digest).hexdigest()


def verify(digest: bytes, signature: str) -> bool:
    return sha256(b"key" + digest).hexdigest() == signature


@pytest.fixture
def log() -> Log:
    log = Log()
    for segment in range(3):
        log.waiting += [event(segment * 10 + number) for number in range(4)]
        assert asyncio.run(seal(log.store(), sign)) == 4
    return log


def test_what_was_sealed_holds_and_nothing_is_sealed_twice(log: Log) -> None:
    assert [one.number for one in log.seals] == [1, 2, 3]
    assert verify_chain(log.seals, log.segments, verify) is None
    assert asyncio.run(seal(log.store(), sign)) == 0


def test_the_purge_of_rows_leaves_the_chain_whole(log: Log) -> None:
    del log.segments[1]
    assert verify_chain(log.seals, log.segments, verify) is None
    assert verify_chain(log.seals[1:], log.segments, verify) is None


def test_any_change_is_seen(log: Log) -> None:
    segment = log.segments[2]
    changed = [msgspec.structs.replace(segment[0], code="user.created"), *segment[1:]]
    moved = [segment[1], segment[0], *segment[2:]]
    for forged in (changed, moved, segment[1:], [*segment, event(99)]):
        broken = verify_chain(log.seals, {**log.segments, 2: forged}, verify)
        assert broken == Broken(2, "its rows are not what was sealed")


def test_a_missing_or_forged_seal_is_seen(log: Log) -> None:
    assert verify_chain([log.seals[0], log.seals[2]], {}, verify) == Broken(3, "a seal before it is missing")
    forged = msgspec.structs.replace(log.seals[1], digest=bytes(32))
    assert verify_chain([log.seals[0], forged, log.seals[2]], {}, verify) == Broken(2, "its signature is not ours")


def test_the_job_is_a_recurring_row() -> None:
    (row,) = rows(Log().store(), sign)
    assert (row.kind, row.every) == ("events.seal", 60)
