"""What the cache room is told."""

from __future__ import annotations

from msgspec import Struct


class CacheSettings(Struct, frozen=True, kw_only=True):
    url: str  # unix:///path/valkey.sock, valkey://host:6379/0, valkeys://…
    seconds: float = 0.5  # for connecting, and for an answer: longer is "away"
    connections: int = 16
