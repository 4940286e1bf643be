"""Logs of the servers: one file each in the data directory, bounded in size and age (design §4: 30 days)."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

LARGEST = 8 * 1024 * 1024
LONGEST = 7 * 86_400  # seconds that one file is written to
KEPT = 6


class LogFile:
    """Appends lines; after `LARGEST` bytes or `LONGEST` seconds the file becomes `.1`, the older ones move on, the
    oldest goes. A start begins a new file, so that the age of a line is known from its file's last change."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.exists() and path.stat().st_size:
            turn(path)
        self._begin()

    def write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # a full disk stops the log, not the servers
            if self._size + len(data) > LARGEST or time.time() - self._begun > LONGEST:
                self._next()
            self._size += os.write(self._handle, data)

    def close(self) -> None:
        os.close(self._handle)

    def _next(self) -> None:
        """The old file is let go when there is a new one: a number that is closed may soon be another file's."""
        old = self._handle
        if self.path.exists():  # else an earlier try came as far as this
            turn(self.path)
        self._begin()
        os.close(old)

    def _begin(self) -> None:
        self._handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size, self._begun = 0, time.time()


def turn(path: Path) -> None:
    """`x.log` → `x.log.1` → `x.log.2` → …"""
    for number in range(KEPT, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        newer = path if number == 1 else path.with_name(f"{path.name}.{number - 1}")
        if newer.exists():
            newer.replace(older)


def forget(directory: Path, seconds: int, now: float | None = None) -> None:
    """Nothing written more than `seconds` ago is left: a file spans at most `LONGEST` before its last change."""
    oldest = (time.time() if now is None else now) - max(0, seconds - LONGEST)
    for path in directory.glob("*.log*"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < oldest:
                if path.suffix == ".log":
                    os.truncate(path, 0)  # still open, for appending
                else:
                    path.unlink()


def tail(path: Path, lines: int = 3) -> str:
    """The last words of a server that would not start."""
    try:
        with path.open("rb") as handle:
            handle.seek(max(0, path.stat().st_size - 4096))
            text = handle.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.strip().splitlines()[-lines:])
