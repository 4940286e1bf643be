"""Design §9: with ten million families at least 0.9 of the rate with ten thousand.

Both are tables of one server, made alike, that take turns under the name `families`: what else the machine does meets
both. Each rotation is of a family drawn anew over the whole table, so that pages are cold as they are in life. A turn
begins after a checkpoint: none pays for what another left, and each pays for the first touch of its pages.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from statistics import median
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from benchmarks import bulk, seeds
from benchmarks.cast import Cast
from benchmarks.figures import Cost, Load, Result, result_of
from benchmarks.generator import Group, Walker
from benchmarks.rows.refresh import Chain, FloorChain
from benchmarks.stage import Stage
from benchmarks.turns import Turns, in_turns

BAR = 0.9
TURNS = in_turns("few", "many") * 2
SHORTEST = 8.0  # seconds of a turn
_WARM_UP = 2.0

_STANDS = """
    SELECT pg_table_size(oid) AS table_bytes, pg_indexes_size(oid) AS index_bytes, reltuples::bigint AS families,
        n_tup_upd AS updates, n_tup_hot_upd AS hot
    FROM pg_class JOIN pg_stat_user_tables ON relid = oid WHERE oid = 'families'::regclass
"""


class Side(Struct):
    """One of the two tables, and what was seen while it was in place."""

    stage: Stage
    ours: Turns = field(default_factory=Turns)
    floor: Turns = field(default_factory=Turns)
    log_bytes: int = 0
    stands: dict[str, int] = field(default_factory=dict)

    def told(self) -> dict[str, object]:
        updates = max(self.stands["updates"], 1)
        return {
            "rps": [round(load.rps, 1) for load in self.ours.loads],
            "cpu_ms": self.ours.each_cpu_ms,
            "floor_rps": [round(load.rps, 1) for load in self.floor.loads],
            "log_bytes_a_second": round(self.log_bytes / self.ours.load.seconds),
            "hot_share": round(self.stands["hot"] / updates, 5),
            "families": self.stands["families"],
            "table_bytes": self.stands["table_bytes"],
            "index_bytes": self.stands["index_bytes"],
        }


class Turn:
    """Which of the two is `families`."""

    def __init__(self, stage: Stage) -> None:
        self._site = stage.site
        self._now = "few"

    def of(self, name: str) -> None:
        async def run(connection: Any) -> None:
            if name != self._now:
                await bulk.exchange(connection, "families", f"families_{name}", f"families_{self._now}")
                self._now = name
            await connection.execute("CHECKPOINT")

        _with(self._site.connect, run)


def refresh_many(stage: Stage) -> Result:
    members = replace(stage.cast, families=stage.options.many)
    begun = time.monotonic()
    asyncio.run(_plant(stage, members))
    seeded = time.monotonic() - begun
    stage.start_anew(stage.site.let_checkpoint)
    if stage.options.floor:
        stage.floor()  # before the two stages part: they share it
    turn = Turn(stage)
    sides = {"few": Side(stage), "many": Side(stage.on(members, stage.deck.over(members)))}
    try:
        for name in TURNS:
            turn.of(name)
            _measure(sides[name])
        if stage.options.floor:
            for name in TURNS:
                turn.of(name)
                _measure_floor(sides[name])
    finally:
        turn.of("few")
        _with(stage.site.connect, lambda asked: asked.execute("DROP TABLE families_many"))
    return _told(sides, seeded)


async def _plant(stage: Stage, members: Cast) -> None:
    """The other table, and the sessions that its families hang on beyond those that are there."""
    connection, beside = [await stage.site.connect() for _ in range(2)]
    now = datetime.now(UTC)
    try:
        await seeds.plant_sessions(connection, members, range(stage.cast.sessions, members.sessions), now)
        rows = seeds.families(members, stage.settings.app_origin, stage.deck.key_id, now)
        await bulk.build(beside, connection, "families", "families_many", rows)
    finally:
        await connection.close()
        await beside.close()


def _measure(side: Side) -> None:
    stage = side.stage
    walkers = [Chain(stage, scattered=True) for _ in range(stage.options.connections)]
    before = _log_position(stage)
    side.ours.saw(*_turn(stage, "refresh_many", Group(stage.auth_doors, walkers), stage.site.pids("auth")))
    side.log_bytes += _log_position(stage) - before
    side.stands = dict(_with(stage.site.connect, lambda asked: asked.fetchrow(_STANDS)))


def _measure_floor(side: Side) -> None:
    stage, floor = side.stage, side.stage.floor()
    walkers: Sequence[Walker] = [
        FloorChain(stage, "/refresh_coalesced", scattered=True) for _ in range(stage.options.connections)
    ]
    side.floor.saw(*_turn(stage, "floor of refresh_many", Group((floor.address,), walkers), [floor.pid]))


def _turn(stage: Stage, name: str, group: Group, servers: Sequence[int]) -> tuple[Load, Cost]:
    seconds = max(stage.options.seconds, SHORTEST)
    (load,), cost = stage.load(name, [group], servers=servers, seconds=seconds, warm_up=_WARM_UP)
    return load, cost


def _told(sides: dict[str, Side], seeded: float) -> Result:
    few, many = sides["few"], sides["many"]
    result = result_of("refresh_many", many.ours.load, many.ours.cost, None)
    if few.ours.load.bad:
        result.void = f"{few.ours.load.bad} bad answers with {few.stage.cast.families:,} families"
    ratio = _ratio(many.ours, few.ours)
    cpu_ratio = many.ours.cpu_ms / few.ours.cpu_ms if few.ours.cpu_ms else 0.0
    said = f"{ratio:.3f} × the {_rate(few.ours):,.0f}/s of {few.stage.cast.families:,} families"
    result.beside |= {"ratio": round(ratio, 4), "cpu_ratio": round(cpu_ratio, 4), "seeded_seconds": round(seeded, 1)}
    if many.floor.loads:
        floor = _ratio(many.floor, few.floor)
        result.beside["floor_ratio"] = round(floor, 4)
        said += f" (floor {floor:.3f} ×)"
    said += f"; CPU {cpu_ratio:.3f} ×"
    result.row.bar, result.met = BAR, not result.void and ratio >= BAR
    result.beside |= {"said": said, "few": few.told(), "many": many.told()}
    return result


def _ratio(some: Turns, others: Turns) -> float:
    return _rate(some) / _rate(others) if _rate(others) else 0.0


def _rate(turns: Turns) -> float:
    """The middle one's: a turn in which the machine had other things to do is neither lost nor counted fully."""
    return median(load.rps for load in turns.loads)


def _log_position(stage: Stage) -> int:
    return int(_with(stage.site.connect, lambda asked: asked.fetchval("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")))


def _with(connect: Callable[[], Any], ask: Callable[[Any], Any]) -> Any:
    """One question on a connection of its own."""

    async def run() -> Any:
        connection = await connect()
        try:
            return await ask(connection)
        finally:
            await connection.close()

    return asyncio.run(run())
