"""What monitoring knows of the nine, for the console."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct


class ServerHealth(Struct, frozen=True, kw_only=True):
    name: str  # one of the nine
    ready: bool
    detail: str  # "2 workers", "PostgreSQL 18.4"
    figures: tuple[tuple[str, str], ...]  # (value, word) pairs: ("31", "req/s"), ("18 ms", "p99")
    trouble: str = ""  # a sentence when something needs a person


class Overview(Struct, frozen=True, kw_only=True):
    at: float  # Unix seconds
    servers: tuple[ServerHealth, ...]
    p99_ms: float | None
    refused_share: float | None
    backlog: int


class Health(Protocol):
    async def overview(self) -> Overview | None:
        """None when monitoring does not answer; the console then says so."""
        ...
