"""What a row works with: the product running on seeded data, the floor beside it, and one way to measure either."""

from __future__ import annotations

import copy
import random
import secrets
import tempfile
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bartizan.auth.settings import AuthSettings
from bartizan.protocol.oauth import refresh
from bartizan.stack import compile as compiled
from bartizan.stack import workers
from benchmarks import probe, seeds
from benchmarks.cast import Cast, Deck
from benchmarks.figures import Cost, Load, Result, result_of
from benchmarks.floor.process import FloorProcess, floors
from benchmarks.generator import Generator, Group, Walker
from benchmarks.options import Options
from benchmarks.processes import cpu_seconds
from benchmarks.product import Site
from benchmarks.profiling import Profiler

_CALLERS = 2**17  # addresses of 198.18.0.0/15, which RFC 2544 keeps for benchmarks


class Stage:
    """Built by `set_up` alone."""

    def __init__(self, options: Options, site: Site, members: Cast, deck: Deck, directory: Path, upstream: str) -> None:
        self.options = options
        self.upstream = upstream
        self.site = site
        self.cast = members
        self.deck = deck
        self.dice = random.Random(options.seed)
        self.directory = directory
        self.at = site.at()
        self.settings: AuthSettings = compiled.auth(self.at)
        self.profiler: Profiler | None = None
        self._floors: dict[int, FloorProcess] = {}
        self._floor_scalar = 1 + secrets.randbits(255)
        self._twin: Stage | None = None

    @property
    def auth_door(self) -> Path:
        return self.auth_doors[0]

    @property
    def auth_doors(self) -> tuple[Path, ...]:
        """One a worker: the gateway would deal out the connections, here the generator does."""
        return workers.sockets(self.at, "auth")

    def floor(self, number: int = 1) -> FloorProcess:
        """Started when the first row wants it."""
        if number not in self._floors:
            self._floors[number] = floors(self.directory, self.site.database_url(), self._floor_scalar, number)
        return self._floors[number]

    def twin(self, made: Callable[[Stage], Stage]) -> Stage:
        """A second product, started when the first row wants it; it ends with this one."""
        if self._twin is None:
            self._twin = made(self)
        return self._twin

    def on(self, members: Cast, deck: Deck) -> Stage:
        """The same processes, with other families in their table."""
        found = copy.copy(self)
        found.cast, found.deck = members, deck
        return found

    def start_anew(self, between: Callable[[], None]) -> None:
        """`between`: what is done to the data while nothing runs."""
        self._stop_floors()
        self.site.stop()
        between()
        self.site.start()

    def stop(self) -> None:
        if self._twin is not None:
            self._twin.stop()
        self._stop_floors()
        self.site.stop()
        self.site.forget()

    def _stop_floors(self) -> None:
        for one in self._floors.values():
            one.stop()
        self._floors.clear()

    def headers(self, origin: str) -> dict[str, str]:
        """As a request looks that has come through the gateway, from one of many addresses."""
        number = self.dice.randrange(_CALLERS)
        return {
            "host": origin.partition("://")[2],
            "user-agent": "bench/1",
            "accept": "*/*",
            "x-forwarded-for": f"198.{18 + (number >> 16)}.{number >> 8 & 255}.{number & 255}",
            "x-forwarded-proto": "http",
            "x-request-id": str(uuid.UUID(int=self.dice.getrandbits(128), version=4)),
            "x-envoy-expected-rq-timeout-ms": "15000",
        }

    def load(
        self,
        name: str,
        groups: Sequence[Group],
        *,
        servers: Sequence[int],
        gateway: Sequence[int] = (),
        seconds: float | None = None,
        warm_up: float | None = None,
    ) -> tuple[list[Load], Cost]:
        """Runs them and reads the clocks of the process trees at both ends of the window."""
        clock = self.clock(servers, gateway)
        if self.profiler is not None:
            self.profiler.arm(name)
        loads = Generator(groups).run(
            warm_up=self.options.warm_up if warm_up is None else warm_up,
            seconds=self.options.seconds if seconds is None else seconds,
            opened=self._opened(clock),
            closed=clock.read,
        )
        if self.profiler is not None:
            self.profiler.finish()
        return loads, clock.cost()

    def clock(self, servers: Sequence[int], gateway: Sequence[int] = ()) -> Clock:
        return Clock(list(servers), self.site.pids("database"), list(gateway))

    def _opened(self, clock: Clock) -> Callable[[], None]:
        def opened() -> None:
            if self.profiler is not None:
                self.profiler.start(self.site.pids("auth"), self.options.seconds)
            clock.read()

        return opened

    def product(self, name: str, walkers: Sequence[Walker], bar: float | None) -> Result:
        """An auth row: straight at the auth server's own door, no gateway between."""
        group = Group(self.auth_doors, walkers)
        (load,), cost = self.load(name, [group], servers=self.site.pids("auth"))
        return result_of(name, load, cost, bar)

    def beside_floor(self, result: Result, walkers: Sequence[Walker], name: str = "") -> Result:
        """Measures the floor with the same connections; the first one asked for is the row's own."""
        floor = self.floor()
        assert isinstance(floor.address, Path), "it answers at a Unix socket"
        profiler, self.profiler = self.profiler, None
        group = Group((floor.address,), walkers)
        (load,), cost = self.load(f"floor of {result.row.name}", [group], servers=[floor.pid])
        self.profiler = profiler
        measured = result_of(f"floor of {result.row.name}", load, cost, None)
        if measured.void:
            result.marks.append(f"no floor: {measured.void}")
            return result
        row = measured.row
        if result.row.floor_cpu_ms is None:
            result.row.floor_cpu_ms = row.cpu_ms
        result.beside[name or "floor"] = {
            "cpu_ms": row.cpu_ms, "cpu_database_ms": row.cpu_database_ms, "rps": row.rps, "p50_ms": row.p50_ms,
            "p99_ms": row.p99_ms,
        }  # fmt: skip
        return result


class Clock:
    """Read twice: at the two ends of a window."""

    def __init__(self, servers: list[int], database: list[int], gateway: list[int]) -> None:
        self._trees = (servers, database, gateway)
        self._readings: list[tuple[float, ...]] = []

    def read(self) -> None:
        self._readings.append(tuple(cpu_seconds(roots) if roots else 0.0 for roots in self._trees))

    def cost(self) -> Cost:
        first, last = self._readings
        return Cost(*(after - before for before, after in zip(first, last, strict=True)))


async def set_up(options: Options, directory: Path, upstream: str) -> tuple[Stage, dict[str, object]]:
    """Starts the product and fills its database. Gives also what the machine and its PostgreSQL are."""
    site = Site(directory)
    site.configure(upstream, options.workers)
    first_start = site.start()
    try:
        at, ring = site.at(), site.ring().purpose(refresh.PURPOSE)
        members = Cast(
            users=options.users, clients=options.clients, families=options.families, seed=secrets.token_bytes(32)
        )
        connection: Any = await site.connect()
        beside: Any = await site.connect()
        try:
            settings = await probe.settings(connection)
            audience = compiled.auth(at).app_origin
            await seeds.plant(connection, beside, members, audience=audience, key_id=ring.newest[0])
            epoch = await connection.fetchval("SELECT epoch FROM meta")
            commits = await probe.commits_per_second(connection)
        finally:
            await connection.close()
            await beside.close()
        deck = Deck(members, ring, epoch, random.Random(options.seed))
        found: dict[str, object] = {
            "settings": settings,
            "durable_commits_per_second": round(commits),
            "first_start_seconds": round(first_start, 2),
        }
        return Stage(options, site, members, deck, directory, upstream), found
    except BaseException:
        site.stop()
        site.forget()
        raise


def workplace() -> tempfile.TemporaryDirectory[str]:
    """A short path: Unix sockets lie in it."""
    return tempfile.TemporaryDirectory(prefix="bz-bench-")
