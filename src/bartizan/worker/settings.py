"""What the worker needs to know: how patient it is, and where mail goes (design §1, row 8)."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from msgspec import Struct


class Security(StrEnum):
    """How the connection to the mail server is protected. `NONE` is written out, never implied."""

    TLS = "tls"  # from the first byte (port 465)
    STARTTLS = "starttls"  # required, not tried (port 587)
    NONE = "none"  # a Unix socket or a relay on this machine


class SmtpSettings(Struct, frozen=True, kw_only=True):
    """The mail server: a host and port, or a Unix socket (the dev inbox)."""

    sender: str  # "Example ID <no-reply@example.com>"
    host: str = ""
    port: int = 587
    security: Security = Security.STARTTLS
    user: str = ""
    password: str = ""  # resolved from its reference by `stack`
    socket: Path | None = None  # set: host, port, security and user are not used
    timeout_seconds: float = 20.0
    connections: int = 4  # at once


class WorkerSettings(Struct, frozen=True, kw_only=True):
    """Retries wait `retry_first * retry_factor ** (attempt - 1)` seconds, jittered, at most `retry_cap`."""

    concurrency: int = 20  # jobs at once in this process; at least 2
    retry_first: float = 2.0
    retry_factor: float = 4.0
    retry_cap: float = 900.0
    lease_seconds: float = 10.0  # a job whose worker died is taken over after this
    tick_seconds: float = 5.0  # how often recurring rows are looked at
    stop_seconds: float = 1.2  # running jobs get this long to finish, then go back to the queue
    keep_days: int = 30  # finished and parked jobs are forgotten after this


class InboxSettings(Struct, frozen=True, kw_only=True):
    """The dev inbox: where mail is caught instead of sent. There is none in production."""

    directory: Path  # one file a mail
    socket: Path  # SMTP on a Unix socket; no TCP
    id_origin: str  # "http://id.localhost:8080": its pages answer there, under /dev/inbox
    keep: int = 200  # newest mails
    max_bytes: int = 2 * 1024 * 1024  # of one mail
