"""Logs of the servers: one file each in the data directory, bounded in size and age (design §4: 30 days)."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

LARGEST = 8 * 1024 * 1024
KEPT = 3


class LogFile:
    """Appends lines; at `LARGEST` bytes the file becomes `.1`, the older ones move on, the oldest goes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle = self._open()
        self._size = os.fstat(self._handle).st_size

    def write(self, data: bytes) -> None:
        if self._size + len(data) > LARGEST:
            os.close(self._handle)
            turn(self.path)
            self._handle, self._size = self._open(), 0
        with contextlib.suppress(OSError):  # a full disk stops the log, not the servers
            self._size += os.write(self._handle, data)

    def close(self) -> None:
        os.close(self._handle)

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def turn(path: Path) -> None:
    """`x.log` → `x.log.1` → `x.log.2` → …"""
    for number in range(KEPT, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        newer = path if number == 1 else path.with_name(f"{path.name}.{number - 1}")
        if newer.exists():
            newer.replace(older)


def forget(directory: Path, seconds: int) -> None:
    """Deletes turned logs that nobody wrote to for so long."""
    for old in directory.glob("*.log.*"):
        with contextlib.suppress(OSError):
            if time.time() - old.stat().st_mtime > seconds:
                old.unlink()


def tail(path: Path, lines: int = 3) -> str:
    """The last words of a server that would not start."""
    try:
        with path.open("rb") as handle:
            handle.seek(max(0, path.stat().st_size - 4096))
            text = handle.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.strip().splitlines()[-lines:])
