"""Mail out, over SMTP (RFC 5321, 5322): one message a call, its Message-ID the same through every retry.

W8: nothing that a person typed can end a header line. Headers are set through `email.policy.SMTP`, which encodes
and refuses line breaks; control characters are removed from the subject before, so that a strange name costs a
strange subject and never the mail.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP as POLICY
from email.utils import format_datetime, parseaddr

import aiosmtplib

from bartizan.model.mail import Mail
from bartizan.worker.settings import Security, SmtpSettings

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_ADDRESS = re.compile(r"[^\s\x00-\x20\x7f<>,;:()\[\]\\\"@]+@[^\s\x00-\x20\x7f<>,;:()\[\]\\\"@]+")
_MESSAGE_ID = re.compile(r"[A-Za-z0-9._+-]{1,128}")


class SmtpMailer:
    """Implements `model.mail.Mailer`."""

    def __init__(self, settings: SmtpSettings, clock: Callable[[], datetime]) -> None:
        self._settings = settings
        self._clock = clock
        self._slots = asyncio.Semaphore(settings.connections)

    async def send(self, mail: Mail) -> None:
        message = compose(mail, self._settings.sender, self._clock())
        sender = parseaddr(self._settings.sender)[1]
        async with self._slots:
            client = _client(self._settings)
            async with client:
                await client.send_message(message, sender=sender, recipients=[mail.to])
                # failpoint: mail.taken


def compose(mail: Mail, sender: str, now: datetime) -> EmailMessage:
    """Pure: the message as it goes out. Raises ValueError for an address or id that no header may hold."""
    if _ADDRESS.fullmatch(mail.to) is None:
        raise ValueError("the recipient is not one address")
    if _MESSAGE_ID.fullmatch(mail.id) is None:
        raise ValueError("the mail's id does not fit a Message-ID")
    domain = parseaddr(sender)[1].rpartition("@")[2] or "localhost"
    message = EmailMessage(policy=POLICY)
    message["From"] = sender
    message["To"] = mail.to
    message["Subject"] = _CONTROL.sub(" ", mail.subject).strip()
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{mail.id}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    return message


def _client(settings: SmtpSettings) -> aiosmtplib.SMTP:
    if settings.socket is not None:
        return aiosmtplib.SMTP(
            hostname=None,
            port=None,
            socket_path=str(settings.socket),
            timeout=settings.timeout_seconds,
            start_tls=False,
        )
    return aiosmtplib.SMTP(
        hostname=settings.host,
        port=settings.port,
        use_tls=settings.security is Security.TLS,
        start_tls=settings.security is Security.STARTTLS,
        username=settings.user or None,
        password=settings.password or None,
        timeout=settings.timeout_seconds,
    )
