"""What a measured window says: rates, percentiles, CPU for each unit of work. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, field

BUSY = 0.8  # of a core: a generator above this may have been what was measured


def percentile(ordered: Sequence[int], share: float) -> float:
    """By the nearest rank: a value that was measured, never one between two. 0 where there is none."""
    if not ordered:
        return 0.0
    rank = max(1, -(-int(share * 1000) * len(ordered) // 1000))
    return float(ordered[min(rank, len(ordered)) - 1])


class Load(Struct, frozen=True, kw_only=True):
    """What the generator saw between the two ends of a window."""

    units: int  # requests, or whole flows
    bad: int  # answers that were not what the row asks for
    seconds: float
    latencies: list[int]  # ns, one a unit, sorted
    own_cpu: float  # of the generator: share of one core
    counted: dict[str, int] = field(default_factory=dict)  # by status, of all answers

    @property
    def rps(self) -> float:
        return self.units / self.seconds if self.seconds else 0.0

    def ms(self, share: float) -> float:
        return percentile(self.latencies, share) / 1e6


def together(loads: Sequence[Load]) -> Load:
    """Several windows as one."""
    seconds = sum(load.seconds for load in loads)
    statuses = sorted({status for load in loads for status in load.counted})
    return Load(
        units=sum(load.units for load in loads),
        bad=sum(load.bad for load in loads),
        seconds=seconds,
        latencies=sorted(latency for load in loads for latency in load.latencies),
        own_cpu=sum(load.own_cpu * load.seconds for load in loads) / seconds if seconds else 0.0,
        counted={status: sum(load.counted.get(status, 0) for load in loads) for status in statuses},
    )


class Cost(Struct, frozen=True):
    """CPU of the window by process tree, in seconds."""

    server: float
    database: float
    gateway: float = 0.0

    @property
    def all(self) -> float:
        return self.server + self.database + self.gateway

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.server + other.server, self.database + other.database, self.gateway + other.gateway)


class Row(Struct, kw_only=True):
    """One line of the table and of the file. `server` takes in the gateway where a row goes through it."""

    name: str
    rps: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    cpu_ms: float = 0.0
    cpu_server_ms: float = 0.0
    cpu_database_ms: float = 0.0
    floor_cpu_ms: float | None = None
    bar: float | None = None
    bad: int = 0


class Result(Struct, kw_only=True):
    """A row with what is told beside it."""

    row: Row
    met: bool | None = None  # None: there is no bar
    void: str = ""  # why it counts for nothing
    marks: list[str] = field(default_factory=list)
    beside: dict[str, object] = field(default_factory=dict)


def row_of(name: str, load: Load, cost: Cost) -> Row:
    units = max(load.units, 1)
    return Row(
        name=name,
        rps=round(load.rps, 1),
        p50_ms=round(load.ms(0.5), 3),
        p99_ms=round(load.ms(0.99), 3),
        cpu_ms=round(cost.all * 1000 / units, 4),
        cpu_server_ms=round((cost.server + cost.gateway) * 1000 / units, 4),
        cpu_database_ms=round(cost.database * 1000 / units, 4),
        bad=load.bad,
    )


def result_of(name: str, load: Load, cost: Cost, bar: float | None) -> Result:
    """Void when anything went wrong, or nothing happened; marked when the generator was the bottleneck."""
    row = row_of(name, load, cost)
    row.bar = bar
    result = Result(row=row, beside={"generator_core": round(load.own_cpu, 3), "statuses": load.counted})
    if load.bad:
        result.void = f"{load.bad} bad answers"
    elif not load.units:
        result.void = "no answer at all"
    if load.own_cpu > BUSY:
        result.marks.append(f"generator at {load.own_cpu:.0%} of a core")
    if bar is not None:
        result.met = not result.void and row.cpu_ms <= bar
    return result
