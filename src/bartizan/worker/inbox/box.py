"""A directory of caught mails: one file each, the newest kept. A mail is parsed only to be shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

from msgspec import Struct

from bartizan.worker.settings import InboxSettings

_ID = re.compile(r"[0-9]{8}T[0-9]{12}-[0-9a-f]{8}")
_LINK = re.compile(r"https?://[^\s<>\"']+")


class Caught(Struct, frozen=True, kw_only=True):
    """One mail, ready to be shown."""

    id: str
    at: datetime
    to: str
    sender: str
    subject: str
    text: str
    html: str
    source: str
    headers: tuple[tuple[str, str], ...]
    link: str  # the one that matters: the first of the text; "" when there is none
    size: int
    seen: bool

    @property
    def preview(self) -> str:
        return " ".join(self.text.split())[:120]


class Box:
    def __init__(self, settings: InboxSettings, clock: Callable[[], datetime], chance: Callable[[int], bytes]) -> None:
        self._directory = settings.directory
        self._keep = settings.keep
        self._clock = clock
        self._chance = chance

    def put(self, raw: bytes) -> str:
        """Whole or not at all; then lets go of the oldest."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        mail_id = f"{self._clock():%Y%m%dT%H%M%S%f}-{self._chance(4).hex()}"
        fresh = self._directory / f"{mail_id}.part"
        fresh.write_bytes(raw)
        fresh.replace(self._directory / f"{mail_id}.eml")
        for old in self.ids()[self._keep :]:
            self._remove(old)
        return mail_id

    def ids(self) -> list[str]:
        """Newest first."""
        return sorted((path.stem for path in self._directory.glob("*.eml") if _ID.fullmatch(path.stem)), reverse=True)

    def all(self) -> list[Caught]:
        return [mail for mail_id in self.ids() if (mail := self.get(mail_id)) is not None]

    def get(self, mail_id: str) -> Caught | None:
        """None for an id that is none, or whose mail is gone."""
        if _ID.fullmatch(mail_id) is None:
            return None
        try:
            raw = (self._directory / f"{mail_id}.eml").read_bytes()
        except FileNotFoundError:
            return None
        return read(mail_id, raw, seen=(self._directory / f"{mail_id}.seen").exists())

    def mark_seen(self, mail_id: str) -> None:
        if _ID.fullmatch(mail_id) and (self._directory / f"{mail_id}.eml").exists():
            (self._directory / f"{mail_id}.seen").touch()

    def clear(self) -> None:
        for mail_id in self.ids():
            self._remove(mail_id)

    def _remove(self, mail_id: str) -> None:
        for suffix in (".eml", ".seen"):
            (self._directory / f"{mail_id}{suffix}").unlink(missing_ok=True)


def read(mail_id: str, raw: bytes, *, seen: bool) -> Caught:
    """Pure. Whatever was sent can be shown: a broken mail has empty parts and its source."""
    message = message_from_bytes(raw, policy=policy.default)
    text = _part(message, "plain")
    return Caught(
        id=mail_id,
        at=datetime.strptime(mail_id[:21] + "+0000", "%Y%m%dT%H%M%S%f%z"),
        to=str(message.get("To", "")),
        sender=str(message.get("From", "")),
        subject=str(message.get("Subject", "")) or "(no subject)",
        text=text,
        html=_part(message, "html"),
        source=raw.decode("utf-8", "replace"),
        headers=tuple((name, str(value)) for name, value in message.items()),
        link=_first_link(text),
        size=len(raw),
        seen=seen,
    )


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body(preferencelist=(kind,))
    if part is None:
        return ""
    try:
        return str(part.get_content())
    except (LookupError, KeyError, UnicodeError):  # an unknown charset or encoding
        return ""


def _first_link(text: str) -> str:
    found = _LINK.search(text)
    return found.group().rstrip(".,;:!?)") if found else ""
