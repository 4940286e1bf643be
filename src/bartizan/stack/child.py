"""Flows §12: one child process: own session, dies with its supervisor, is started again when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from bartizan.stack.forked import Birth, Nursery, Process
from bartizan.stack.home import Mark, started
from bartizan.stack.logs import LogFile

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_STEADY = 20.0  # a child that lived so long starts its back-off anew
_PAUSES = (0.0, 0.1, 0.3, 0.7, 1.5, 3.0, 5.0)
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

Probe = Callable[[], Awaitable[bool]]


class Spec(Struct, frozen=True, kw_only=True):
    """What to start, and how to know that it works."""

    name: str  # "web": the log's name
    servers: tuple[str, ...]  # which of the nine it is
    command: Callable[[], list[str]]  # asked at each start: a restart may need another
    probe: Probe
    environment: Mapping[str, str]
    needs: tuple[str, ...] = ()  # children that must be ready before it is started
    like: str = ""  # the child whose work this one shares: either of them is enough
    uid: int | None = None
    gid: int | None = None
    stop_signal: int = signal.SIGTERM
    leash: str = ""  # the child without which this one must not go on for long (flows §7)
    once: bool = False  # runs to its end; ready when that was good
    stop_last: bool = False  # the stores: after everybody who writes to them
    directory: Path = Path("/")
    answer: Callable[[bytes], None] | None = None  # gets, once, what the child writes to descriptor BARTIZAN_ANSWER
    line: Callable[[socket.socket], None] | None = None  # gets, at each start, the other end of BARTIZAN_LINE
    nursery: Nursery | None = None  # forks it, where it can; `command` is the long way
    birth: Birth | None = None


class State(StrEnum):
    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    DOWN = "down"


class Child:
    """Runs one Spec for as long as the supervisor wants."""

    def __init__(self, spec: Spec, log: LogFile, tell: Callable[[str], None], changed: Callable[[], None]) -> None:
        self.spec = spec
        self.state = State.WAITING
        self.ready = asyncio.Event()
        self.failures = 0  # in a row, before it was ready
        self._log = log
        self._tell = tell
        self._changed = changed
        self._process: Process | None = None
        self._beginning = False
        self._ended = asyncio.Event()
        self._mark: Mark | None = None
        self._stopping = False
        self._allowed = asyncio.Event()
        self._allowed.set()
        self._answered = spec.answer is None
        self._down_since = 0.0

    @property
    def mark(self) -> Mark | None:
        """Its pid and start time, while it lives."""
        return self._mark

    def reap(self) -> None:
        """Called at each SIGCHLD."""
        if self._process is not None and not self._ended.is_set() and self._process.poll() is not None:
            self._ended.set()

    async def keep(self) -> None:
        """Starts it, waits for its end, starts it again; until `stop`."""
        pauses = 0
        while not self._stopping:
            await self._allowed.wait()
            begun = time.monotonic()
            try:
                reader = await self._start()
            except OSError as wrong:
                self._tell(f"{self.spec.name} cannot be started: {wrong.strerror}.")
                code: int | None = None
            else:
                watch = asyncio.create_task(self._watch())
                await self._ended.wait()
                watch.cancel()
                reader.cancel()
                code = self._process.returncode if self._process else None
            done = self.spec.once and code == 0
            self._down(failed=not done)
            if done:
                self.state = State.READY
                self.ready.set()
            if self._stopping or self.spec.once:
                return  # a failed one ends the start: see the supervisor
            pauses = 0 if time.monotonic() - begun > _STEADY else pauses + 1
            pause = _PAUSES[min(pauses, len(_PAUSES)) - 1] if pauses else 0.0
            self._tell(f"{self.spec.name} ended ({_ending(code)}); starting it again.")
            await asyncio.sleep(pause)

    def stop(self, number: int | None = None) -> None:
        """Asks it to end. It is not started again."""
        self._stopping = True
        self.send(number or self.spec.stop_signal)

    def hold(self) -> None:
        """Stops it until `release`."""
        self._allowed.clear()
        self.send(self.spec.stop_signal)

    def release(self) -> None:
        self._allowed.set()

    @property
    def held(self) -> bool:
        return not self._allowed.is_set()

    def send(self, number: int) -> None:
        if self._process is not None and not self._ended.is_set():
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    @property
    def living(self) -> bool:
        return self._beginning or (self._process is not None and not self._ended.is_set())

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and not self._ended.is_set() else None

    async def _start(self) -> asyncio.Task[None]:
        """Brings it into the world. Its output is read until it ends."""
        self._ended.clear()
        self.state = State.STARTING
        self._process, self._beginning = None, True
        output, out = os.pipe()
        answers = None if self._answered else os.pipe()
        handles = [out, *(answers[1:] if answers else ())]
        try:
            process = await self._born(handles)
            if process is None and self._stopping:
                raise OSError(errno.ECANCELED, "it is not wanted any more")
            self._process = process or self._spawned(handles)
        except OSError:
            for handle in (output, *(answers[:1] if answers else ())):
                os.close(handle)
            raise
        finally:
            self._beginning = False
            for handle in handles:
                os.close(handle)
        self._mark = Mark(self.spec.name, self._process.pid, started(self._process.pid) or 0)
        self._changed()
        self.reap()  # it may have ended before its number was known
        if self._stopping:
            self.send(self.spec.stop_signal)
        return asyncio.create_task(self._read(output, answers[0] if answers else None))

    async def _born(self, handles: list[int]) -> Process | None:
        spec = self.spec
        return await spec.nursery.bear(spec.birth, handles) if spec.nursery and spec.birth else None

    def _spawned(self, handles: list[int]) -> Process:
        out, *answer = handles
        environment = dict(self.spec.environment)
        if answer:
            environment["BARTIZAN_ANSWER"] = str(answer[0])
        line, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET) if self.spec.line else (None, None)
        if theirs is not None:
            environment["BARTIZAN_LINE"] = str(theirs.fileno())
        try:
            process = subprocess.Popen(  # noqa: S603 - our own programs
                self.spec.command(),
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                env=environment, cwd=self.spec.directory, start_new_session=True, umask=0o077,
                user=self.spec.uid, group=self.spec.gid, extra_groups=[] if self.spec.uid is not None else None,
                pass_fds=[*answer, *([theirs.fileno()] if theirs else [])],
                preexec_fn=tie(os.getpid(), self.spec.stop_signal),
            )  # fmt: skip
        finally:
            if theirs is not None:
                theirs.close()
        if self.spec.line is not None and line is not None:
            self.spec.line(line)
        return process

    async def _read(self, output: int, answers: int | None) -> None:
        if answers is not None:
            told = asyncio.StreamReader()
            await _connect(told, os.fdopen(answers, "rb"))
            listener = asyncio.create_task(self._listen(told))
        else:
            listener = None
        stream = asyncio.StreamReader()
        await _connect(stream, os.fdopen(output, "rb"))
        try:
            while data := await stream.read(65536):
                self._log.write(data)
        finally:
            if listener is not None:
                listener.cancel()

    async def _listen(self, told: asyncio.StreamReader) -> None:
        data = await told.read()
        if data and self.spec.answer is not None:
            self._answered = True
            self.spec.answer(data)

    async def _watch(self) -> None:
        """Asks the probe until it is ready."""
        if self.spec.once:
            return
        pause = 0.01
        while not await self._probed():
            await asyncio.sleep(pause)
            pause = min(pause * 1.3, 0.1)
        if self._down_since:
            self._tell(f"{self.spec.name} is back after {time.monotonic() - self._down_since:.1f} s.")
        self._down_since, self.failures = 0.0, 0
        self.state = State.READY
        self.ready.set()

    async def answers(self) -> bool:
        """Anything at all: that it is not ready may be another's fault."""
        try:
            await asyncio.wait_for(self.spec.probe(), 1.0)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            return False
        return True

    async def _probed(self) -> bool:
        try:
            return await asyncio.wait_for(self.spec.probe(), 1.0)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            return False

    def _down(self, *, failed: bool) -> None:
        if failed and self.state is not State.READY:
            self.failures += 1
        self._down_since = self._down_since or time.monotonic()
        self.state = State.DOWN
        self.ready.clear()
        self._mark = None
        self._changed()


def tie(parent: int, number: int) -> Callable[[], None] | None:
    """The kernel sends the child `number` when we die. Set after the uid change, which would undo it.

    Python runs this between fork and exec. The supervisor has one thread, so no lock can be left held.
    """
    if _libc is None:
        return None

    def tied() -> None:
        die_with(parent, number)
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(each, signal.SIG_DFL)

    return tied


def die_with(parent: int, number: int) -> None:
    """Linux: from now on, or at once when it is too late."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


def adopt_orphans() -> bool:
    """Whom a child of ours leaves behind becomes ours: so does what the nursery bears. False: not this kernel."""
    return _libc is not None and _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


async def _connect(stream: asyncio.StreamReader, pipe: object) -> None:
    protocol = asyncio.StreamReaderProtocol(stream)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, pipe)


def _ending(code: int | None) -> str:
    if code is None:
        return "no such program"
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
