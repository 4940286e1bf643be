"""The load: N connections, each with a walker that says what to send next. Raw sockets and epoll, one thread.

Cheap enough to stay under a core's 80 % at the rates measured here; its own share is part of every result.
"""

from __future__ import annotations

import gc
import select
import socket
import time
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from benchmarks.figures import Load
from benchmarks.wire import Answer, read

Address = Path | tuple[str, int]

_DRAIN_SECONDS = 10.0
_CHUNK = 65_536


class Walker(Protocol):
    """One connection's errand. A unit (a request, a flow of some) begins at each request for which `fresh` holds.

    One that has a `pause` (seconds) is left alone for so long before its next request: it was told to come later.
    """

    fresh: bool

    def begin(self) -> bytes:
        """The first request, and the first one after a bad answer."""
        ...

    def next_request(self, answer: Answer) -> bytes | None:
        """None: the answer is not what it should be. Nothing: the errand is done."""
        ...


class Group(Struct, frozen=True):
    """Connections that are counted together, dealt out to the addresses in turn."""

    addresses: tuple[Address, ...]
    walkers: Sequence[Walker]


class _Tally:
    __slots__ = ("bad", "latencies", "seen")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.bad = 0
        self.seen: dict[int, int] = {}
        self.latencies: list[int] = []

    def load(self, seconds: float, own_cpu: float) -> Load:
        return Load(
            units=len(self.latencies),
            bad=self.bad,
            seconds=seconds,
            latencies=sorted(self.latencies),
            own_cpu=own_cpu,
            counted={str(status): number for status, number in sorted(self.seen.items())},
        )


class _Line:
    __slots__ = ("address", "begun", "buffer", "busy", "socket", "tally", "walker")

    def __init__(self, address: Address, walker: Walker, tally: _Tally) -> None:
        self.socket = dial(address)
        self.address = address
        self.walker = walker
        self.tally = tally
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

    def __init__(self, groups: Sequence[Group]) -> None:
        self._poll = select.epoll()
        self._lines: dict[int, _Line] = {}
        self._tallies = [_Tally() for _ in groups]
        self._later: list[tuple[int, int, _Line, bytes]] = []  # a heap by the time at which they are due
        self._stopping = False
        self._done = 0
        for group, tally in zip(groups, self._tallies, strict=True):
            for number, walker in enumerate(group.walkers):
                self._connect(_Line(group.addresses[number % len(group.addresses)], walker, tally))

    def run(
        self, *, warm_up: float, seconds: float, opened: Callable[[], None], closed: Callable[[], None]
    ) -> list[Load]:
        """A load for each group. `opened` and `closed` are called at the two ends of the window."""
        gc.collect()
        gc.disable()  # a collection here would be a pause there
        try:
            for line in list(self._lines.values()):
                self._send(line, line.walker.begin())
            self._until(time.perf_counter_ns() + int(warm_up * 1e9))
            opened()
            for tally in self._tallies:
                tally.clear()
            cpu, begun = time.process_time(), time.perf_counter_ns()
            self._until(begun + int(seconds * 1e9))
            lasted = (time.perf_counter_ns() - begun) / 1e9
            cpu = time.process_time() - cpu
            closed()
            loads = [tally.load(lasted, cpu / lasted) for tally in self._tallies]
            self._drain()
        finally:
            gc.enable()
            self._close()
        return loads

    def _until(self, end: int) -> None:
        while (now := time.perf_counter_ns()) < end:
            if self._done == len(self._lines):
                return
            due = end
            if self._later:
                self._resume(now)
                due = min(end, self._later[0][0]) if self._later else end
            for handle, _ in self._poll.poll(max(0, due - now) / 1e9):
                self._answered(self._lines[handle])

    def _resume(self, now: int) -> None:
        while self._later and self._later[0][0] <= now:
            _, _, line, request = heappop(self._later)
            if line.socket.fileno() >= 0:  # else it was closed on us meanwhile, and another goes on with the errand
                self._send(line, request)

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
        line.busy = False
        answer, tally = found[0], line.tally
        tally.seen[answer.status] = tally.seen.get(answer.status, 0) + 1
        now = time.perf_counter_ns()
        request = line.walker.next_request(answer)
        if request is None:
            tally.bad += 1
            request = line.walker.begin()
        elif line.walker.fresh:
            tally.latencies.append(now - line.begun)
        if not request:
            self._done += 1
        elif not self._stopping:
            self._go_on(line, request, now)

    def _go_on(self, line: _Line, request: bytes, now: int) -> None:
        pause = getattr(line.walker, "pause", 0.0)
        if pause:
            heappush(self._later, (now + int(pause * 1e9), line.socket.fileno(), line, request))
        else:
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
        self._forget(line)
        if line.busy:
            line.tally.bad += 1
            line.busy = False
        if not self._stopping:
            fresh = _Line(line.address, line.walker, line.tally)
            self._connect(fresh)
            self._send(fresh, fresh.walker.begin())

    def _connect(self, line: _Line) -> None:
        self._lines[line.socket.fileno()] = line
        self._poll.register(line.socket, select.EPOLLIN)

    def _forget(self, line: _Line) -> None:
        handle = line.socket.fileno()
        self._poll.unregister(handle)
        del self._lines[handle]
        line.socket.close()

    def _close(self) -> None:
        for line in list(self._lines.values()):
            self._forget(line)
        self._poll.close()
