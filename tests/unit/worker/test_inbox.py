"""The dev inbox catches what the mailer sends, keeps the newest, and shows hostile mail without harm."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bartizan.model.mail import Mail
from bartizan.worker.inbox.box import Box, read
from bartizan.worker.inbox.sink import listening
from bartizan.worker.settings import InboxSettings, SmtpSettings
from bartizan.worker.smtp import SmtpMailer

START = datetime(2030, 1, 1, tzinfo=UTC)
MAIL_ID = "20300101T000000000000-00000000"


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[InboxSettings]:
    with tempfile.TemporaryDirectory(prefix="bz") as short:  # a socket path holds 107 bytes
        yield InboxSettings(
            directory=tmp_path / "inbox", socket=Path(short) / "smtp.sock", id_origin="http://id.localhost:8080", keep=3
        )


def box_of(settings: InboxSettings) -> Box:
    seconds = itertools.count()
    return Box(settings, lambda: START + timedelta(seconds=next(seconds)), lambda n: b"\0" * n)


def test_a_sent_mail_arrives_as_it_was(settings: InboxSettings) -> None:
    box = box_of(settings)
    mailer = SmtpMailer(SmtpSettings(sender="ID <no-reply@example.com>", socket=settings.socket), lambda: START)
    mail = Mail(
        id="m1",
        to="dana@example.com",
        subject="Bestätige 😀",
        text="Open this link to finish: http://id.localhost:8080/verify/abc.\n.\nA dot alone ends nothing.\n",
        html="<p>Grüße</p>",
    )

    async def walk() -> None:
        async with listening(settings, box):
            await mailer.send(mail)

    asyncio.run(walk())
    (caught,) = box.all()
    assert (caught.to, caught.subject, caught.link) == (mail.to, mail.subject, "http://id.localhost:8080/verify/abc")
    assert "A dot alone" in caught.text
    assert "Grüße" in caught.html
    assert not settings.socket.exists()


def test_the_mailer_says_so_when_nobody_takes_the_mail(settings: InboxSettings) -> None:
    mailer = SmtpMailer(SmtpSettings(sender="a@example.com", socket=settings.socket), lambda: START)
    with pytest.raises(Exception, match="connect"):
        asyncio.run(mailer.send(Mail(id="m", to="b@example.com", subject="s", text="t", html="h")))


def test_only_the_newest_are_kept(settings: InboxSettings) -> None:
    box = box_of(settings)
    ids = [box.put(b"Subject: %d\r\n\r\nx" % n) for n in range(5)]
    assert box.ids() == ids[:1:-1]
    box.mark_seen(ids[-1])
    assert [mail.seen for mail in box.all()] == [True, False, False]
    box.clear()
    assert list(settings.directory.iterdir()) == []


@pytest.mark.parametrize("mail_id", ["", "..", "../x", "a/b", MAIL_ID + "/..", MAIL_ID + ".eml", "\0"])
def test_an_id_from_outside_names_no_file(settings: InboxSettings, mail_id: str) -> None:
    box = box_of(settings)
    box.put(b"Subject: x\r\n\r\nx")
    assert box.get(mail_id) is None
    box.mark_seen(mail_id)
    assert [path.suffix for path in settings.directory.iterdir()] == [".eml"]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe\x00",
        b"Subject: =?nonsense?q?x?=\r\n\r\nx",
        b"Content-Type: text/plain; charset=klingon\r\n\r\nx",
        b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!",
        b"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n",
        b"To: <>\r\nFrom: \r\nDate: never\r\n\r\n",
    ],
)
def test_a_broken_mail_can_still_be_shown(raw: bytes) -> None:
    assert read(MAIL_ID, raw, seen=False).size == len(raw)
