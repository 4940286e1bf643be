"""Flows §12: the supervisor's side of the nursery: asks for a server, and keeps what was born like a `Popen`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from typing import Protocol

import msgspec
from msgspec import Struct


class Process(Protocol):
    """What a `Child` needs of a `Popen`."""

    pid: int
    returncode: int | None

    def poll(self) -> int | None: ...

    def send_signal(self, sig: int) -> None: ...


class Birth(Struct, frozen=True):
    """What is asked for. Beside it go the descriptors: where it writes, and where it answers, if it does."""

    name: str
    servers: tuple[str, ...]


class Born(Struct, frozen=True):
    pid: int  # 0: it could not


class Forked:
    """A child that the kernel gave us."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            try:
                found, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # it ended before we knew of it
                self.returncode = -signal.SIGKILL
            else:
                if found:
                    self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:  # until it is waited for, the number is nobody else's
            os.kill(self.pid, sig)


class Nursery:
    """One request at a time, over a socket that nobody else can reach."""

    def __init__(self) -> None:
        self._line: socket.socket | None = None
        self._turn = asyncio.Lock()

    def connected(self, line: socket.socket) -> None:
        """At each start of the process."""
        self.close()
        line.setblocking(False)
        self._line = line

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    async def bear(self, wanted: Birth, handles: list[int]) -> Forked | None:
        """None when the nursery cannot: the caller then starts it the long way."""
        async with self._turn:
            line = self._line
            if line is None:
                return None
            with contextlib.suppress(OSError, msgspec.DecodeError):
                socket.send_fds(line, [msgspec.json.encode(wanted)], handles)
                born = msgspec.json.decode(await asyncio.get_running_loop().sock_recv(line, 64), type=Born)
                return Forked(born.pid) if born.pid else None
        return None
