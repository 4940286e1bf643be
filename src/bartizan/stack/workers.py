"""Design §1: N auth workers. Each is a whole `web` process, with sockets of its own: who of them is called what.

The first keeps the names of a run with one. Nothing but the number in a process's name tells the others apart.
"""

from __future__ import annotations

import re
from pathlib import Path

from bartizan.stack.effective import Effective

MOST = 64
_NUMBERED = re.compile(r"web-([2-9]|[1-9][0-9])")


def processes(at: Effective) -> tuple[str, ...]:
    """("web", "web-2", …)."""
    return tuple(_numbered("web", number) for number in _numbers(at))


def number_of(process: str) -> int:
    """2 of "web-2"; 1 of every other process, also of one that runs `auth` alone."""
    found = _NUMBERED.fullmatch(process)
    return int(found[1]) if found else 1


def socket(at: Effective, server: str, number: int = 1) -> Path:
    """Where that worker's `server` answers: auth.sock, auth-2.sock, …"""
    return at.socket(f"{_numbered(server, number)}.sock")


def sockets(at: Effective, server: str) -> tuple[Path, ...]:
    """Of all workers, the first's first."""
    return tuple(socket(at, server, number) for number in _numbers(at))


def _numbers(at: Effective) -> range:
    return range(1, at.config.auth.workers + 1)


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"
