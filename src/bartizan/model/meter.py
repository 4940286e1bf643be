"""Counting and timing, handed in, so that no room owns a global registry."""

from __future__ import annotations

from typing import Protocol


class Meter(Protocol):
    def count(self, name: str, /, amount: float = 1, **labels: str) -> None:
        """A Prometheus counter `bartizan_<name>_total`."""
        ...

    def observe(self, name: str, seconds: float, /, **labels: str) -> None:
        """A histogram `bartizan_<name>_seconds`."""
        ...

    def set(self, name: str, value: float, /, **labels: str) -> None:
        """A gauge `bartizan_<name>`."""
        ...
