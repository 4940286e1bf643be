"""From the caller's transaction to the inbox: a job that was committed becomes one mail, one that was not none."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast
from uuid import UUID, uuid4

import pytest
from tests.fixtures.waiting import comes_true

from bartizan.database.settings import DatabaseSettings
from bartizan.database.store import PostgresRecords, PostgresStore, connect
from bartizan.model.event import Event, Seal, StoredEvent
from bartizan.model.job import Job, JobRow
from bartizan.model.mail import Mail
from bartizan.model.store import Store
from bartizan.monitoring.chain import Looked, look
from bartizan.monitoring.jobs import Broken, digest_of, rows, verify_chain
from bartizan.monitoring.meter import PrometheusMeter
from bartizan.protocol.secrets import KeyRing
from bartizan.worker.inbox.box import Box
from bartizan.worker.inbox.sink import listening
from bartizan.worker.run import run
from bartizan.worker.settings import InboxSettings, SmtpSettings, WorkerSettings
from bartizan.worker.smtp import SmtpMailer

pytestmark = pytest.mark.engine

QUICK = WorkerSettings(retry_first=0.1, retry_factor=1.0, tick_seconds=0.1, stop_seconds=0.3)
RING = KeyRing((("00000001", bytes(32)),))


def clock() -> datetime:
    return datetime.now(UTC)


def test_a_committed_job_becomes_one_mail_even_when_the_mail_server_comes_late(empty_database_url: str) -> None:
    async def walk(directory: Path) -> None:
        inbox = InboxSettings(
            directory=directory / "mail", socket=directory / "smtp.sock", id_origin="http://id.localhost"
        )
        box = Box(inbox, clock, os.urandom)
        smtp = SmtpSettings(sender="ID <no-reply@example.com>", socket=inbox.socket, timeout_seconds=2)
        mailer = SmtpMailer(smtp, clock)
        store = await connect(DatabaseSettings(url=empty_database_url), RING)

        async def send(job: Job) -> None:
            await mailer.send(Mail(id=str(job.id), to=job.detail["to"], subject="Hello", text="Hello", html="Hello"))

        async def tried() -> bool:
            return (await store.backlog())[0].waiting == 1 and b'outcome="retry"' in meter.render()

        async def arrived() -> bool:
            return len(box.ids()) == 1 and await store.backlog() == []

        meter, stop = PrometheusMeter(), asyncio.Event()
        work = asyncio.create_task(
            run(QUICK, (JobRow(kind="mail.test", run=send),), empty_database_url, meter, stop=stop)
        )
        job = Job(id=uuid4(), kind="mail.test", detail={"to": "alice@example.com"})
        await _enqueue(store, job)
        await _enqueue_and_roll_back(store)
        await comes_true(tried)
        async with listening(inbox, box):
            await comes_true(arrived)
        stop.set()
        await work
        (mail,) = box.all()
        assert dict(mail.headers)["Message-ID"] == f"<{job.id}@example.com>"
        await store.close()

    with tempfile.TemporaryDirectory(prefix="bz") as short:
        asyncio.run(walk(Path(short)))


async def _enqueue(store: PostgresStore, job: Job) -> None:
    async with store.transaction() as records:
        await records.jobs.enqueue(job)


async def _enqueue_and_roll_back(store: PostgresStore) -> None:
    async def broken() -> None:
        async with store.transaction() as records:
            await records.jobs.enqueue(Job(id=uuid4(), kind="mail.test", detail={"to": "nobody@example.com"}))
            raise LookupError

    with pytest.raises(LookupError):
        await broken()


def test_events_are_sealed_in_a_chain_that_can_be_checked(empty_database_url: str) -> None:
    """`unsealed` gives rows older than five minutes: the test writes them and moves their time back."""

    async def walk() -> None:
        store = await connect(DatabaseSettings(url=empty_database_url), RING)

        async def sign(digest: bytes) -> str:
            return "signed " + digest.hex()

        segments: dict[int, list[StoredEvent]] = {}
        seals: list[Seal] = []
        (row,) = rows(store, sign)
        for number in (1, 2):
            async with store.transaction() as records:
                for _ in range(3):
                    await records.events.record(Event(code="signin.done", request_id=f"r{number}"))
            await _age_events(store)
            async with store.reading() as records:
                segments[number] = await records.events.unsealed(limit=100)
            await row.run(Job(id=uuid4(), kind=row.kind))
            async with store.reading() as records:
                last = await records.events.last_seal()
                assert last is not None
                assert await records.events.unsealed(limit=100) == []
            seals.append(last)
        assert [one.number for one in seals] == [1, 2]
        assert [one.rows for one in seals] == [3, 3]
        assert seals[1].digest == digest_of(seals[0].digest, segments[2])
        assert verify_chain(seals, segments, lambda digest, jws: jws == "signed " + digest.hex()) is None
        await _the_chain_is_read_again(store)
        await store.close()

    asyncio.run(walk())


async def _the_chain_is_read_again(store: PostgresStore) -> None:
    """Also what was changed, taken out or slipped in behind our back is seen, in the seal that it belongs to."""

    def verify(digest: bytes, jws: str) -> bool:
        return jws == "signed " + digest.hex()

    long_ago = datetime.now(UTC) - timedelta(days=1)
    assert await look(store, verify, long_ago) == Looked(2, None)
    wrong = "its rows are not what was sealed"
    (first, *_), (second, *_) = await _sealed_rows(store)
    columns = "at, code, request_id, network, detail"
    slipped_in = (
        f"INSERT INTO events (id, {columns}) SELECT gen_random_uuid(), {columns} FROM events WHERE id = '{second}'"
    )
    for number, statement in (
        (1, f"UPDATE events SET code = 'user.created' WHERE id = '{first}'"),
        (2, f"DELETE FROM events WHERE id = '{second}'"),
        (2, slipped_in),
    ):
        async with store.within(transaction=False) as handed:
            await handed.connection.execute("BEGIN")
            await handed.connection.execute(statement)
            seen = await look(cast(Store, _Inside(PostgresRecords(handed))), verify, long_ago)
            await handed.connection.execute("ROLLBACK")
        assert seen.broken == Broken(number, wrong), statement
    assert await look(store, verify, long_ago) == Looked(2, None)
    assert (await look(store, lambda *_: False, long_ago)).broken == Broken(1, "its signature is not ours")
    assert await look(store, verify, datetime.now(UTC)) == Looked(0, None)


class _Inside:
    """A store whose every reading is within one transaction."""

    def __init__(self, records: PostgresRecords) -> None:
        self._records = records

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[PostgresRecords]:
        yield self._records


async def _sealed_rows(store: PostgresStore) -> list[list[UUID]]:
    async with store.reading() as records:
        one, two = await records.events.seals(since=datetime.now(UTC) - timedelta(days=1), above=0, limit=9)
        assert [seal.number for seal in await records.events.seals(since=one.first_at, above=1, limit=9)] == [2]
        rows = await records.events.within(one.first_at - timedelta(hours=1), one.last_at)
        return [[row.id for row in rows], [row.id for row in await records.events.within(one.last_at, two.last_at)]]


async def _age_events(store: PostgresStore) -> None:
    async with store.within(transaction=True) as handed:
        await handed.connection.execute(
            "UPDATE events SET at = at - interval '6 minutes' WHERE at > now() - interval '5 minutes'"
        )
