"""The faults, each as it happens to a running stack, and what is asked of the stack afterwards (I9)."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable

import valkey
from asyncpg.exceptions import LockNotAvailableError
from msgspec import Struct
from tests.browser.wire import send
from tests.faults import steps
from tests.faults.steps import Person as Grantor
from tests.fixtures import ring
from tests.fixtures.nodes import Node
from tests.soak.book import Book, Fault
from tests.soak.house import OURS, WORKERS, House
from tests.soak.people import Person
from tests.soak.plan import Planned

from bartizan.stack import compile as compiled
from bartizan.stack import operations
from bartizan.stack.instance import opened

RECOVERY = 10.0
_GIVE_UP = 60.0
_LYING = 3.0  # so long a worker may say that it is ready and refuse: both look at the database, not at once


class Injected(Struct, frozen=True):
    """A line of the list of events."""

    what: str
    at: float
    held: float
    recovered: float  # seconds after it was let go


class Faults:
    def __init__(self, house: House, book: Book, grantor: Grantor, person: Person) -> None:
        self._house = house
        self._book = book
        self._probe = Probe(house, grantor)
        self._person = person
        self.events: list[Injected] = []
        self._verbs: dict[str, Callable[[str, float], None]] = {
            "kill": self._kill, "stop": self._stop, "restart": self._restart, "flush": self._flush,
            "rotate": self._rotate, "ring": self._ring, "lock": self._lock, "disconnect": self._disconnect,
        }  # fmt: skip

    def inject(self, planned: Planned) -> None:
        verb, _, object_ = planned.what.partition(" ")
        with self._book.fault(planned.what) as fault:
            before = self._house.pid(object_) if verb in ("kill", "restart") else None
            self._verbs[verb](object_, planned.hold)
            let_go = self._book.now
            self._recover(planned.what, fault, object_, before)
        recovered = self._book.now - let_go
        self.events.append(Injected(planned.what, fault.begun, let_go - fault.begun, recovered))

    def _recover(self, what: str, fault: Fault, killed: str, before: int | None) -> None:
        """Until the killed one is another process and every door works."""
        begun, lying = time.monotonic(), dict.fromkeys(WORKERS, 0.0)
        while True:
            gone = before is not None and self._house.pid(killed) in (None, before)
            doors = self._probe.look()
            if not gone and all(doors.values()) and self._house.stack.status()["ready"]:
                break
            for node in self._house.doors:
                lies = not doors[node.name] and node.ready() and not self._probe.worker(node)
                lying[node.name] = (lying[node.name] or time.monotonic()) if lies else 0.0
                since = time.monotonic() - lying[node.name] if lies else 0.0
                self._book.look("I9", since < _LYING, f"{what}: {node.name} is ready by its word and refuses")
            shut = [name for name, works in doors.items() if not works] or [killed]
            if time.monotonic() - begun > _GIVE_UP or self._book.over.is_set():
                self._book.look("I9", self._book.over.is_set(), f"{what}: {shut} not back after {_GIVE_UP:.0f} s")
                return
            time.sleep(0.05)
        took = time.monotonic() - begun
        self._book.look("I9", took <= RECOVERY, f"{what}: back after {took:.1f} s")

    # The faults

    def _kill(self, server: str, hold: float) -> None:
        for name in WORKERS if server == "both workers" else (server,):
            self._house.send(name, signal.SIGKILL)

    def _stop(self, server: str, hold: float) -> None:
        """PostgreSQL with all its backends: a machine that stands still."""
        below = server == "database"
        self._house.send(server, signal.SIGSTOP, below=below)
        try:
            self._book.over.wait(hold)
        finally:
            self._house.send(server, signal.SIGCONT, below=below)

    def _restart(self, server: str, hold: float) -> None:
        """Immediate: as by `pg_ctl -m immediate`."""
        self._house.send(server, signal.SIGQUIT)

    def _flush(self, _: str, hold: float) -> None:
        path = compiled.cache_url(self._house.at).removeprefix("unix://").partition("?")[0]
        line = valkey.Valkey(unix_socket_path=path)
        try:
            line.flushall()
        finally:
            line.close()  # type: ignore[no-untyped-call]  # theirs

    def _rotate(self, _: str, hold: float) -> None:
        async def rotate() -> None:
            async with opened(self._house.data, None) as instance:
                await operations.rotate_keys(instance)

        asyncio.run(rotate())

    def _ring(self, _: str, hold: float) -> None:
        """As the operator of several nodes does it: known everywhere first, then used; by kill -9, in turn."""
        path = self._house.data / "keys" / "ring"
        key = ring.add(path)
        self._rolling()
        ring.use(path, key)
        self._rolling()

    def _rolling(self) -> None:
        for server in OURS:
            before = self._house.pid(server)
            self._house.send(server, signal.SIGKILL)
            until = time.monotonic() + _GIVE_UP
            while time.monotonic() < until and not self._back(server, before):
                time.sleep(0.02)

    def _back(self, server: str, before: int | None) -> bool:
        if self._house.pid(server) in (None, before):
            return False
        rows = {row["name"]: row["state"] for row in self._house.stack.status().get("processes", [])}
        return rows.get(server) == "ready"

    def _lock(self, table: str, hold: float) -> None:
        async def lock() -> None:
            connection = await self._house.connect()
            try:
                async with connection.transaction():
                    await connection.execute("SET LOCAL lock_timeout = '5s'")
                    await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
                    await asyncio.sleep(hold)
            finally:
                await connection.close()

        try:
            asyncio.run(lock())
        except LockNotAvailableError:
            return  # the load held it: nothing was hurt

    def _disconnect(self, _: str, hold: float) -> None:
        until = time.monotonic() + hold
        while time.monotonic() < until:
            self._person.cut()
            time.sleep(0.005)  # some hundreds of them


class Probe:
    """One door of each kind: the workers by a client's own token, the app behind the gateway by a bearer token."""

    def __init__(self, house: House, grantor: Grantor) -> None:
        self._house = house
        self._grantor = grantor

    def look(self) -> dict[str, bool]:
        found = {node.name: self.worker(node) for node in self._house.doors}
        found["gateway"] = self._status(f"{self._house.id}/jwks", {}) == 200
        token = steps.credentials(self._house.doors[0])
        access = token.json()["access_token"] if token.status == 200 else "none"
        found["app"] = self._status(f"{self._house.app}/api/whoami", {"authorization": f"Bearer {access}"}) == 200
        found["frontend"] = self._status(f"{self._house.app}/bff/session", {"sec-fetch-site": "same-origin"}) == 200
        return found

    def worker(self, node: Node) -> bool:
        """A code, which takes reading from the database and writing to it."""
        answer = steps.authorize(node, self._grantor)
        return answer.status == 303 and "code=" in answer.headers["location"]

    @staticmethod
    def _status(url: str, headers: dict[str, str]) -> int:
        try:
            return send("GET", url, headers=headers).status
        except OSError:
            return 0
