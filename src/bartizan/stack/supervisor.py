"""Flows §12, design §1: keeps the children, answers `status`, stops everything in three seconds.

Children start as soon as what they need is ready, the rest in parallel. A child that dies is started again; one
that never became ready ends the start with a sentence. SIGINT, SIGTERM and SIGHUP stop; a second one stops at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from bartizan.stack import proc
from bartizan.stack.child import Child, Spec, State
from bartizan.stack.home import Home, Mark, Run, Trouble, boot_id, started
from bartizan.stack.logs import LogFile, forget, tail

NINE = ("auth", "resource", "frontend", "gateway", "files", "cache", "database", "worker", "monitoring")
NOTHING: dict[str, object] = {"ready": False, "ready_seconds": None, "urls": {}, "servers": [], "processes": []}
_GRACE = 1.6  # seconds for servers, then for stores, before SIGKILL: both within the three promised
_STORES_GRACE = 1.0
_TRIES = 3
_SWEEP = 300.0
_LISTEN = 0.5  # seconds between looks at one that was silent
_QUIET = 2.0  # and while all answered: what is gone is gone since the last answer, so the leash gets no longer by it
LEASH_SECONDS = 10.0


class Facts(Struct, frozen=True, kw_only=True):
    """What `status` and the card tell besides the processes."""

    urls: dict[str, str]
    addresses: dict[str, str]  # of the nine
    versions: dict[str, str]
    outside: dict[str, Callable[[], bool]] = {}  # servers that are not our children: can they be reached?
    retention: int = 30 * 86_400


class Supervisor:
    """Runs the specs until it is told to stop."""

    def __init__(self, home: Home, sockets: Path, specs: tuple[Spec, ...], facts: Facts) -> None:
        self._home = home
        self._sockets = sockets
        self._facts = facts
        self._children: dict[str, Child] = {}
        self._specs = specs
        self._stopped = asyncio.Event()
        self._signals = 0
        self.ready_seconds: float | None = None
        self.tell: Callable[[str], None] = lambda text: None

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Raises Trouble when the start fails; returns after a clean stop."""
        self._listen_to_signals()
        logs = [LogFile(self._home.path("logs", f"{spec.name}.log")) for spec in self._specs]
        for spec, log in zip(self._specs, logs, strict=True):
            self._children[spec.name] = Child(spec, log, self._told, self._write_run)
        server = await self._control()
        tasks = [asyncio.create_task(self._start(child)) for child in self._children.values()]
        beside = [asyncio.create_task(self._sweep()), asyncio.create_task(self._keep_leashes())]
        try:
            await self._first(tasks)
            if not self._stopped.is_set():
                self.ready_seconds = round(proc.age(), 2)
                on_ready()
                await self._stopped.wait()
        finally:
            for task in beside:
                task.cancel()
            server.close()
            await self._stop(tasks)
            for log in logs:
                log.close()
            self._home.write_run(None)

    def status(self) -> dict[str, object]:
        """The shape that scripts rely on (issue 3). A process that is several servers is shared out among them."""
        roots = {name: child.mark.pid for name, child in self._children.items() if child.mark}
        trees = proc.tree(list(roots.values()))
        shares = {name: proc.pss(trees[pid]) for name, pid in roots.items()}
        servers = []
        for server in NINE:
            mine = [child for child in self._children.values() if server in child.spec.servers]
            names = [child.spec.name for child in mine if child.spec.name in roots]
            share = sum(
                shares[child.spec.name] // len(child.spec.servers) for child in mine if child.spec.name in roots
            )
            reach = self._facts.outside.get(server)
            servers.append(
                {
                    "name": server,
                    "ready": _work(mine) if mine else bool(reach and reach()),
                    "pids": [pid for name in names for pid in trees[roots[name]]],
                    "address": self._facts.addresses.get(server, ""),
                    "pss_bytes": share,
                    "version": self._facts.versions.get(server, ""),
                }
            )
        extra = [name for name, child in self._children.items() if not child.spec.servers]
        return {
            "ready": self.ready_seconds is not None and all(c.state is State.READY for c in self._children.values()),
            "ready_seconds": self.ready_seconds,
            "urls": self._facts.urls,
            "servers": servers,
            "processes": [_told(child, shares) for child in self._children.values() if child.spec.servers],
            "others": [{"name": n, "pids": trees[roots[n]], "pss_bytes": shares[n]} for n in extra if n in roots],
            "supervisor": {"pid": os.getpid(), "pss_bytes": proc.pss([os.getpid()]), "data": str(self._home.data)},
        }

    async def _start(self, child: Child) -> None:
        for need in child.spec.needs:
            await self._children[need].ready.wait()
        if not self._stopped.is_set():
            await child.keep()

    async def _first(self, tasks: list[asyncio.Task[None]]) -> None:
        """Until all are ready, one has failed too often, or a signal came."""
        stop = asyncio.create_task(self._stopped.wait())
        ready = asyncio.create_task(self._all_ready())
        try:
            while not ready.done() and not stop.done():
                await asyncio.wait({stop, ready}, timeout=0.1, return_when=asyncio.FIRST_COMPLETED)
                for child in self._children.values():
                    if child.failures >= (1 if child.spec.once else _TRIES):
                        raise Trouble(self._obituary(child.spec.name))
                for task in tasks:
                    if task.done() and (wrong := task.exception()) is not None:
                        raise wrong
        finally:
            stop.cancel()
            ready.cancel()

    async def _all_ready(self) -> bool:
        for child in self._children.values():
            await child.ready.wait()
        return True

    def _obituary(self, name: str) -> str:
        path = self._home.path("logs", f"{name}.log")
        return f"{name} does not start. Its last words, from {path}:\n{tail(path, 6)}"

    async def _stop(self, tasks: list[asyncio.Task[None]]) -> None:
        """Servers first, the stores when nobody writes any more."""
        self._stopped.set()
        last = [child for child in self._children.values() if child.spec.stop_last]
        first = [child for child in self._children.values() if not child.spec.stop_last]
        for group, grace in ((first, _GRACE), (last, _STORES_GRACE)):
            for child in group:
                child.stop()
            await self._gone(group, grace)
            for child in group:
                child.stop(signal.SIGKILL)
            await self._gone(group, 0.3)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _gone(self, children: list[Child], seconds: float) -> None:
        end = asyncio.get_running_loop().time() + seconds
        while any(child.living for child in children) and asyncio.get_running_loop().time() < end:
            if self._signals > 1:
                return
            await asyncio.sleep(0.01)  # also looks at the second signal, which must stop the waiting

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._asked_to_stop)

    def _reap(self) -> None:
        for child in self._children.values():
            child.reap()
        with contextlib.suppress(ChildProcessError, AttributeError):  # macOS knows no waitid, and gives us no orphans
            while (found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
                mine = [child for child in self._children.values() if child.pid == found.si_pid]
                for child in mine:
                    child.reap()
                if not mine:  # an orphan: what a killed PostgreSQL leaves, say
                    os.waitpid(found.si_pid, os.WNOHANG)

    def _asked_to_stop(self) -> None:
        self._signals += 1
        self._stopped.set()

    def _told(self, text: str) -> None:
        if not self._stopped.is_set():
            self.tell(text)

    def _write_run(self) -> None:
        """So that whoever starts next can settle what a killed supervisor left."""
        marks = tuple(child.mark for child in self._children.values() if child.mark)
        me = Mark("supervisor", os.getpid(), started(os.getpid()) or 0)
        app = self._facts.urls.get("app", "")
        with contextlib.suppress(Trouble):  # a disk that fills up later must not stop the servers
            self._home.write_run(
                Run(supervisor=me, boot=boot_id(), sockets=str(self._sockets), app=app, children=marks)
            )

    async def _control(self) -> asyncio.AbstractServer:
        """`bartizan status` asks here. The directory is 0700: whoever can connect is us or root."""
        path = self._sockets / "supervisor.sock"
        path.unlink(missing_ok=True)

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(reader.readline(), 5)
                writer.write(msgspec.json.encode(self.status()) + b"\n")
                await writer.drain()
            writer.close()

        server = await asyncio.start_unix_server(answer, str(path))
        path.chmod(0o600)
        return server

    async def _keep_leashes(self) -> None:
        """An Envoy whose agent is gone would go on with an ever older list of the ended: it is stopped (flows §7).

        Until the agent was there once, Envoy is closed anyway. One that dies again and again is gone all the time;
        one that hangs is killed at half the time, so that it comes back.
        """
        heard: dict[str, float] = {}
        pause = _LISTEN
        while True:
            await asyncio.sleep(pause)
            pause = _QUIET
            now = asyncio.get_running_loop().time()
            for child in [child for child in self._children.values() if child.spec.leash]:
                name, other = child.spec.leash, self._children[child.spec.leash]
                if other.state is State.READY and await other.answers():
                    heard[name] = now
                    child.release()
                    continue
                pause = _LISTEN
                silent = now - heard.get(name, now)
                if silent > LEASH_SECONDS and not child.held and child.living:
                    self._told(f"{name} has been gone for {LEASH_SECONDS:.0f} s; {child.spec.name} waits for it.")
                    child.hold()
                elif silent > LEASH_SECONDS / 2 and other.state is State.READY:
                    other.send(signal.SIGKILL)

    async def _sweep(self) -> None:
        """Turned logs are forgotten after the retention (design §4: 30 days)."""
        while True:
            forget(self._home.path("logs"), self._facts.retention)
            await asyncio.sleep(_SWEEP)


def _work(children: list[Child]) -> bool:
    """Each kind of them; of several workers one is enough to answer (`processes` tells of each)."""
    kinds = {child.spec.like or child.spec.name for child in children}
    ready = {child.spec.like or child.spec.name for child in children if child.state is State.READY}
    return kinds == ready


def _told(child: Child, shares: Mapping[str, int]) -> dict[str, object]:
    return {
        "name": child.spec.name,
        "state": str(child.state),
        "servers": child.spec.servers,
        "pid": child.mark.pid if child.mark else None,
        "pss_bytes": shares.get(child.spec.name, 0),
    }


def ask(sockets: Path) -> dict[str, object] | None:
    """What the living supervisor says; None when there is none."""
    try:
        with socket.socket(socket.AF_UNIX) as talk:
            talk.settimeout(5)
            talk.connect(str(sockets / "supervisor.sock"))
            talk.sendall(b"status\n")
            data = b""
            while part := talk.recv(65536):
                data += part
    except OSError:
        return None
    found: Mapping[str, object] = msgspec.json.decode(data)
    return dict(found)
