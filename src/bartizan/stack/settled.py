"""What the web process tells the supervisor when the data is settled. It travels over a pipe, written nowhere."""

from __future__ import annotations

import msgspec
from msgspec import Struct


class Settled(Struct, frozen=True, kw_only=True):
    """What the card shows. It travels over a pipe and is written nowhere."""

    setup: str = ""  # the one-time link; "": there is an administrator
    setup_until: str = ""
    people: tuple[tuple[str, str, str], ...] = ()  # e-mail, password, remark


def encode(settled: Settled) -> bytes:
    return msgspec.json.encode(settled)


def decode(data: bytes) -> Settled:
    return msgspec.json.decode(data, type=Settled)
