"""From the caller's transaction to the inbox: a job that was committed becomes one mail, one that was not none."""

from __future__ import annotations

import asyncio
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from tests.engine.worker.waiting import until

from bartizan.database.settings import DatabaseSettings
from bartizan.database.store import PostgresStore, connect
from bartizan.model.event import Event, Seal, StoredEvent
from bartizan.model.job import Job, JobRow
from bartizan.model.mail import Mail
from bartizan.monitoring.jobs import digest_of, rows, verify_chain
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
        await until(tried)
        async with listening(inbox, box):
            await until(arrived)
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
    """`unsealed` gives rows older than a minute: the test writes them and moves their time back."""

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
        await store.close()

    asyncio.run(walk())


async def _age_events(store: PostgresStore) -> None:
    async with store.within(transaction=True) as handed:
        await handed.connection.execute(
            "UPDATE events SET at = at - interval '2 minutes' WHERE at > now() - interval '1 minute'"
        )
