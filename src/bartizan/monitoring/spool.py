"""Standard output as a log wants it (X11): no request waits for whoever reads it, and none breaks with it.

A pipe that is full, because its reader was stopped or is slow, would hold up the whole event loop. Here what it does
not take waits, up to a bound; beyond that lines are left out and counted, and the count is told when there is room
again. A reader that has gone or a full disk costs the lines.
"""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Callable

MOST = 256 * 1024  # bytes that wait


class Spool:
    """What `structlog` writes to: `write` and `flush` of a text file."""

    def __init__(self, handle: int, dropped: Callable[[int], str]) -> None:
        """`dropped`: the line that tells how many were left out."""
        self._put = _unblocked(handle)
        self._dropped = dropped
        self._waiting = bytearray()
        self._left_out = 0
        self._turn = threading.Lock()

    def write(self, text: str) -> None:
        data = text.encode("utf-8", "replace")
        with self._turn:
            self._drain()
            if len(self._waiting) + len(data) > MOST:
                self._left_out += 1
                return
            if self._left_out:
                self._waiting += (self._dropped(self._left_out) + "\n").encode()
                self._left_out = 0
            self._waiting += data
            self._drain()

    def flush(self) -> None:
        """Nothing is held back that the other side takes."""

    def _drain(self) -> None:
        try:
            while self._waiting:
                del self._waiting[: self._put(bytes(self._waiting))]
        except BlockingIOError:
            return
        except OSError:  # nobody reads any more, or the disk is full: the log has stopped, not the server
            self._waiting.clear()


def _unblocked(handle: int) -> Callable[[bytes], int]:
    """Writes as much as is taken at once; BlockingIOError when that is nothing."""
    kind = os.fstat(handle).st_mode
    if stat.S_ISSOCK(kind):
        line = socket.socket(fileno=os.dup(handle))
        return lambda data: line.send(data, socket.MSG_DONTWAIT)
    if stat.S_ISFIFO(kind):
        try:
            # Opened anew, so that whoever shares the old handle does not find it changed.
            handle = os.open(f"/proc/self/fd/{handle}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:  # not Linux, or a pipe of another user
            os.set_blocking(handle, False)
    return lambda data: os.write(handle, data)
