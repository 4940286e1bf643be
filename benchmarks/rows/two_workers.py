"""Issue 4: two auth workers may cost at most a tenth more CPU a request than one.

Two copies of the product on like data, one with a worker and one with two, take turns of some seconds: once as fast as
they can, which the bar is for, once at one and the same rate, half of what one worker can. At the limit two workers
also keep more of the machine busy, which makes each slower; at an equal rate that is alike, but what comes less often
shares fewer statements, and twice so where it is spread over two. Floors beside both: the same program once and twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from benchmarks.figures import Result, result_of
from benchmarks.generator import Address, Group, Walker
from benchmarks.rows.code_flow import FloorFlow, Flow
from benchmarks.rows.fixed import (
    client_credentials_floor,
    client_credentials_walkers,
    introspection_floor,
    introspection_walkers,
)
from benchmarks.rows.refresh import Chain, FloorChain
from benchmarks.stage import Stage, set_up
from benchmarks.turns import Turns, in_turns
from benchmarks.wire import Answer

BAR = 1.10
_SHARE = 0.5  # of what one worker can

Errands = Callable[[Stage], Sequence[Walker]]


class Paced:
    """The same errand, begun at set times: when the server lags behind, it catches up."""

    def __init__(self, errand: Walker, interval: float, first: float, clock: Callable[[], float]) -> None:
        self._errand = errand
        self._interval = interval
        self._first = first
        self._clock = clock
        self._due: float | None = None
        self.pause = 0.0
        self.fresh = True

    def begin(self) -> bytes:
        self.fresh = True
        return self._errand.begin()

    def next_request(self, answer: Answer) -> bytes | None:
        request = self._errand.next_request(answer)
        self.fresh = self._errand.fresh
        self.pause = self._until_due() if self.fresh else 0.0
        return request

    def _until_due(self) -> float:
        now = self._clock()
        self._due = now + self._first if self._due is None else self._due + self._interval
        return max(0.0, self._due - now)


class Side(Struct):
    """A program with so many processes: where it answers, whose clocks are read, and what was seen."""

    stage: Stage
    addresses: tuple[Address, ...]
    servers: list[int]
    errands: Errands
    seen: Turns = field(default_factory=Turns)

    def turn(self, name: str, rate: float | None) -> None:
        options, dice = self.stage.options, self.stage.dice
        walkers = self.errands(self.stage)
        if rate is not None:
            interval = options.connections / rate
            walkers = [Paced(one, interval, dice.random() * interval, time.monotonic) for one in walkers]
        (load,), cost = self.stage.load(name, [Group(self.addresses, walkers)], servers=self.servers)
        self.seen.saw(load, cost)

    def told(self) -> dict[str, object]:
        load, cost = self.seen.load, self.seen.cost
        units = max(load.units, 1)
        return {
            "rps": round(load.rps, 1),
            "cpu_ms": round(self.seen.cpu_ms, 4),
            "cpu_server_ms": round(cost.server * 1000 / units, 4),
            "cpu_database_ms": round(cost.database * 1000 / units, 4),
            "p50_ms": round(load.ms(0.5), 3),
            "turns_cpu_ms": self.seen.each_cpu_ms,
        }


class Pair(Struct):
    """One and two of a program."""

    one: Side
    two: Side

    @property
    def ratio(self) -> float:
        one = self.one.seen.cpu_ms
        return self.two.seen.cpu_ms / one if one else 0.0

    @property
    def bad(self) -> int:
        return self.one.seen.load.bad + self.two.seen.load.bad

    def run(self, name: str, rate: float | None) -> Pair:
        for side in in_turns(self.one, self.two):
            side.turn(name, rate)
        return self

    def told(self) -> dict[str, object]:
        return {"ratio": round(self.ratio, 4), "one": self.one.told(), "two": self.two.told()}


def refresh(stage: Stage) -> Result:
    def floor(on: Stage) -> list[FloorChain]:
        return [FloorChain(on, "/refresh_coalesced") for _ in range(on.options.connections)]

    return _row(stage, "two_workers_refresh", lambda on: [Chain(on) for _ in range(on.options.connections)], floor)


def client_credentials(stage: Stage) -> Result:
    def walkers(on: Stage) -> Sequence[Walker]:
        return client_credentials_walkers(on, on.options.connections)

    return _row(stage, "two_workers_client_credentials", walkers, client_credentials_floor)


def introspection(stage: Stage) -> Result:
    def walkers(on: Stage) -> Sequence[Walker]:
        return introspection_walkers(on, on.options.connections)

    return _row(stage, "two_workers_introspection", walkers, introspection_floor)


def code_flow(stage: Stage) -> Result:
    return _row(
        stage,
        "two_workers_code_flow",
        lambda on: [Flow(on) for _ in range(on.options.connections)],
        lambda on: [FloorFlow(on) for _ in range(on.options.connections)],
    )


def _row(stage: Stage, name: str, errands: Errands, floor_errands: Errands) -> Result:
    """Met, when it is at an equal rate. What it is at the limit stands beside."""
    twin = stage.twin(_twin)
    one, two = sorted((stage, twin), key=lambda which: which.options.workers)

    def product() -> Pair:
        return Pair(*(Side(on, on.auth_doors, on.site.pids("auth"), errands) for on in (one, two)))

    full = product().run(name, None)
    rate = full.one.seen.load.rps * _SHARE
    paced = product().run(name, rate)
    result = result_of(name, full.two.seen.load, full.two.seen.cost, None)
    if bad := full.bad + paced.bad:
        result.void = f"{bad} bad answers"
    result.row.bar, result.met = BAR, not result.void and full.ratio <= BAR
    result.beside |= {"ratio": round(full.ratio, 4), "full": full.told(), "equal_rate": paced.told()}
    said = f"× {full.ratio:.3f} of one worker's, × {paced.ratio:.3f} at {rate:,.0f}/s"
    if stage.options.floor:
        full, paced = _floors(stage, name, floor_errands)
        result.beside |= {"floor_full": full.told(), "floor_equal_rate": paced.told()}
        result.row.floor_cpu_ms = round(full.two.seen.cpu_ms, 4)
        said += f" (floor × {full.ratio:.3f}, × {paced.ratio:.3f})"
    result.beside["said"] = said
    return result


def _floors(stage: Stage, name: str, errands: Errands) -> tuple[Pair, Pair]:
    """At half of what *it* can alone."""
    first, second = stage.floor(), stage.floor(2)

    def pair() -> Pair:
        return Pair(
            Side(stage, (first.address,), [first.pid], errands),
            Side(stage, (first.address, second.address), [first.pid, second.pid], errands),
        )

    full = pair().run(f"floor of {name}", None)
    return full, pair().run(f"floor of {name}", full.one.seen.load.rps * _SHARE)


def _twin(stage: Stage) -> Stage:
    """The other number of workers, on data made alike."""
    directory = stage.directory / "twin"
    directory.mkdir()
    options = replace(stage.options, workers=2 if stage.options.workers == 1 else 1)
    found, _ = asyncio.run(set_up(options, directory, stage.upstream))
    return found
