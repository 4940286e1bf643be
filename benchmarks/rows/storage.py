"""Design §5: storage stays one row a session, however often it rotates. Autovacuum is at its defaults."""

from __future__ import annotations

import asyncio

from msgspec import Struct

from benchmarks.figures import Cost, Load, Result, result_of
from benchmarks.generator import Group
from benchmarks.rows.refresh import Chain
from benchmarks.stage import Stage
from benchmarks.wire import Answer

HOT_BAR = 0.99
ROTATIONS = 50  # a family
GROWN_BAR = 0.01  # of table and indexes: a page or two of the maps that PostgreSQL keeps beside them
_LONGEST = 600.0

_READ = """
    SELECT pg_table_size('families') AS table_bytes, pg_indexes_size('families') AS index_bytes,
           n_tup_upd AS updates, n_tup_hot_upd AS hot
    FROM pg_stat_user_tables WHERE relname = 'families'
"""


class Storage(Struct, frozen=True):
    table_bytes: int
    index_bytes: int
    updates: int
    hot: int


class Fifty:
    """One family after the other, each rotated so often; then done."""

    fresh = True

    def __init__(self, stage: Stage, families: int) -> None:
        self._stage = stage
        self._left = families - 1
        self._rotations = 0
        self._chain = Chain(stage)

    def begin(self) -> bytes:
        self._rotations = 0
        return self._chain.begin()

    def next_request(self, answer: Answer) -> bytes | None:
        following = self._chain.next_request(answer)
        self._rotations += 1
        if following is None or self._rotations < ROTATIONS:
            return following
        if not self._left:
            return b""
        self._left -= 1
        return self.begin()


def hot_share(stage: Stage) -> Result:
    """Over the refresh row's own load."""
    before = _read(stage)
    chains = [Chain(stage) for _ in range(stage.options.connections)]
    (load,), cost = stage.load("hot_share", [Group(stage.auth_doors, chains)], servers=stage.site.pids("auth"))
    share = _share(before, _read(stage))
    result = _told("hot_share", load, cost, f"{share:.4f} of all updates are HOT")
    result.row.bar = HOT_BAR
    result.met = not result.void and share >= HOT_BAR
    result.beside["share"] = round(share, 5)
    return result


def growth(stage: Stage) -> Result:
    """50 rotations of each of `--growth` families: what table and indexes take before and after."""
    before = _read(stage)
    each = max(1, stage.options.growth // stage.options.connections)
    walkers = [Fifty(stage, each) for _ in range(stage.options.connections)]
    (load,), cost = stage.load(
        "growth", [Group(stage.auth_doors, walkers)], servers=stage.site.pids("auth"), seconds=_LONGEST, warm_up=0.0
    )
    after = _read(stage)
    grown = (after.table_bytes + after.index_bytes) / (before.table_bytes + before.index_bytes) - 1
    said = f"{grown:+.2%} after {ROTATIONS} rotations of {each * len(walkers)} families"
    result = _told("growth", load, cost, said)
    result.row.bar = GROWN_BAR
    result.met = not result.void and grown <= GROWN_BAR
    result.beside |= {
        "table_bytes": [before.table_bytes, after.table_bytes],
        "index_bytes": [before.index_bytes, after.index_bytes],
        "grown": round(grown, 5),
        "hot_share": round(_share(before, after), 5),
    }
    return result


def _told(name: str, load: Load, cost: Cost, said: str) -> Result:
    result = result_of(name, load, cost, None)
    result.beside["said"] = said
    return result


def _share(before: Storage, after: Storage) -> float:
    updates = after.updates - before.updates
    return (after.hot - before.hot) / updates if updates else 0.0


def _read(stage: Stage) -> Storage:
    """Backends tell of their updates once a second: the last ones may be missing, which a share bears."""

    async def ask() -> Storage:
        connection = await stage.site.connect()
        try:
            row = await connection.fetchrow(_READ)
        finally:
            await connection.close()
        return Storage(**dict(row))

    return asyncio.run(ask())
