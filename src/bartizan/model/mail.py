"""Mail: a finished message and the port that sends it."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct


class Mail(Struct, frozen=True, kw_only=True):
    id: str  # becomes the Message-ID: the same through every retry
    to: str
    subject: str
    text: str
    html: str


class Mailer(Protocol):
    async def send(self, mail: Mail) -> None:
        """Raises when the mail server did not take it."""
        ...
