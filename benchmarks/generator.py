"""The load: N connections, each with a walker that says what to send next. Raw sockets and epoll, one thread.

Cheap enough to stay under a core's 80 % at the rates measured here; its own share is part of every result.
"""

from __future__ import annotations

import gc
import select
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from benchmarks.figures import Load
from benchmarks.wire import Answer, read

Address = Path | tuple[str, int]

_DRAIN_SECONDS = 10.0
_CHUNK = 65_536


class Walker(Protocol):
    """One connection's errand. A unit (a request, a flow of some) begins at each request for which `fresh` holds."""

    fresh: bool

    def begin(self) -> bytes:
        """The first request, and the first one after a bad answer."""
        ...

    def next_request(self, answer: Answer) -> bytes | None:
        """None: the answer is not what it should be."""
        ...


class _Line:
    __slots__ = ("begun", "buffer", "busy", "socket", "walker")

    def __init__(self, line: socket.socket, walker: Walker) -> None:
        self.socket = line
        self.walker = walker
        self.buffer = b""
        self.begun = 0
        self.busy = False


def dial(address: Address) -> socket.socket:
    if isinstance(address, Path):
        line = socket.socket(socket.AF_UNIX)
        line.connect(str(address))
    else:
        line = socket.create_connection(address)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    line.setblocking(False)
    return line


def ask(address: Address, request: bytes, seconds: float = 10.0) -> Answer:
    """One request on a connection of its own."""
    line = dial(address)
    line.settimeout(seconds)
    with line:
        line.sendall(request)
        buffer = b""
        while (found := read(buffer)) is None:
            piece = line.recv(_CHUNK)
            if not piece:
                raise ConnectionError(f"closed in the middle of an answer: {buffer[:200]!r}")
            buffer += piece
    return found[0]


class Generator:
    """Each instance is one run."""

    def __init__(self, address: Address, walkers: Sequence[Walker]) -> None:
        self._address = address
        self._poll = select.epoll()
        self._lines: dict[int, _Line] = {}
        self._bad = 0
        self._seen: dict[int, int] = {}
        self._latencies: list[int] = []
        self._stopping = False
        for walker in walkers:
            self._connect(walker)

    def run(self, *, warm_up: float, seconds: float, opened: Callable[[], None], closed: Callable[[], None]) -> Load:
        """`opened` and `closed` are called at the two ends of the window, to read other clocks there."""
        gc.collect()
        gc.disable()  # a collection here would be a pause there
        try:
            for line in list(self._lines.values()):
                self._send(line, line.walker.begin())
            self._until(time.perf_counter_ns() + int(warm_up * 1e9))
            self._latencies, self._bad, self._seen = [], 0, {}
            opened()
            cpu, begun = time.process_time(), time.perf_counter_ns()
            self._until(begun + int(seconds * 1e9))
            lasted = (time.perf_counter_ns() - begun) / 1e9
            cpu = time.process_time() - cpu
            closed()
            units, latencies, bad, seen = len(self._latencies), sorted(self._latencies), self._bad, dict(self._seen)
            self._drain()
        finally:
            gc.enable()
            self._close()
        statuses = {str(status): number for status, number in sorted(seen.items())}
        return Load(units=units, bad=bad, seconds=lasted, latencies=latencies, own_cpu=cpu / lasted, counted=statuses)

    def _until(self, end: int) -> None:
        while (now := time.perf_counter_ns()) < end:
            for handle, _ in self._poll.poll((end - now) / 1e9):
                self._answered(self._lines[handle])

    def _drain(self) -> None:
        """What is under way is waited for, so that the next row finds the server idle and every chain is known."""
        self._stopping = True
        end = time.monotonic() + _DRAIN_SECONDS
        while any(line.busy for line in self._lines.values()) and time.monotonic() < end:
            for handle, _ in self._poll.poll(0.1):
                self._answered(self._lines[handle])

    def _answered(self, line: _Line) -> None:
        try:
            piece = line.socket.recv(_CHUNK)
        except BlockingIOError:
            return
        except ConnectionError:
            piece = b""
        if not piece:
            self._lost(line)
            return
        buffer = line.buffer + piece if line.buffer else piece
        found = read(buffer)
        if found is None:
            line.buffer = buffer
            return
        line.buffer = b""
        answer = found[0]
        self._seen[answer.status] = self._seen.get(answer.status, 0) + 1
        now = time.perf_counter_ns()
        request = line.walker.next_request(answer)
        if request is None:
            self._bad += 1
            request = line.walker.begin()
        elif line.walker.fresh:
            self._latencies.append(now - line.begun)
        if self._stopping:
            line.busy = False
            return
        self._send(line, request)

    def _send(self, line: _Line, request: bytes) -> None:
        if line.walker.fresh:
            line.begun = time.perf_counter_ns()
        line.busy = True
        try:
            sent = line.socket.send(request)
            if sent < len(request):
                line.socket.setblocking(True)
                line.socket.sendall(request[sent:])
                line.socket.setblocking(False)
        except ConnectionError:
            self._lost(line)

    def _lost(self, line: _Line) -> None:
        """Closed on us. Between two requests that is a server's right; in the middle of one it is a bad answer."""
        if line.busy:
            self._bad += 1
        self._forget(line)
        if not self._stopping:
            fresh = self._connect(line.walker)
            self._send(fresh, fresh.walker.begin())

    def _connect(self, walker: Walker) -> _Line:
        line = _Line(dial(self._address), walker)
        self._lines[line.socket.fileno()] = line
        self._poll.register(line.socket, select.EPOLLIN)
        return line

    def _forget(self, line: _Line) -> None:
        handle = line.socket.fileno()
        self._poll.unregister(handle)
        del self._lines[handle]
        line.socket.close()

    def _close(self) -> None:
        for line in list(self._lines.values()):
            self._forget(line)
        self._poll.close()
