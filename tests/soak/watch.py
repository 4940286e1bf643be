"""What must not grow, read every few seconds, and the verdict on it: a slope, and what it may be.

Theil and Sen's slope, the median of those between all pairs of readings: three in ten readings may be anything (a
fault, a burst) and it does not move. A series fails when its slope is above 0.8 % of its median a minute AND what it
has gained is more than its noise. Noise is 3 % of it, and for memory not below 1 MB, which an allocator takes at once.
A process is watched when it is `WARM` old; the agent's and PostgreSQL's memory when the list of the ended is as long as
it gets (`LISTED`), Envoy's later still (`ENVOY`): a run of 3 minutes says nothing of Envoy's. In a run of 10 minutes
more than five and a half are watched, without a kill: a leak of 1 % a minute gains 5.5 %, and fails. Shorter runs find
what grows by 5 % a minute.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from benchmarks.processes import pss_bytes
from msgspec import Struct
from tests.soak.book import Book
from tests.soak.house import SERVERS, House

from bartizan.stack import proc

EVERY = 2.0
WARM = 30.0  # seconds in which a process fills its caches and pools
SHARE = 0.008  # of the median, a minute
NOISE = 0.03
FULL = 5.0  # minutes of readings; in fewer, what fills up (1 to 4 % a minute were seen) cannot be told from what leaks
SHORT_SHARE = 0.05
SHORT_NOISE = 0.05
LISTED = 130.0  # seconds in which the list of the ended fills up: so long each entry stands on it, here
ENVOY = 300.0  # it is handed a new list twice a second, and keeps what an allocator keeps of the old ones
MOST = 240  # readings that are compared in pairs
_SETTLED = {"agent": LISTED, "database": LISTED, "envoy": ENVOY}
_NEEDED = 45.0  # seconds of readings, for a verdict
_FLOORS = {"pss": 1_000_000.0, "descriptors": 8.0, "threads": 4.0}
_SHARED_BUFFERS = 32 * 2**20  # a page of them counts when it is touched first, which is no leak


class Verdict(Struct, frozen=True):
    what: str
    first: float
    last: float
    slope: float  # a minute
    minutes: float
    grows: bool


def slope(readings: Sequence[tuple[float, float]]) -> float:
    """By the second. Readings are (seconds, value)."""
    step = max(1, len(readings) // MOST)
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(readings[::step], 2) if b[0] - a[0] > 0]
    return statistics.median(slopes) if slopes else 0.0


def judged(what: str, readings: Sequence[tuple[float, float]], floor: float) -> Verdict | None:
    """None: too short for one."""
    if len(readings) < 8 or readings[-1][0] - readings[0][0] < _NEEDED:
        return None
    minutes = (readings[-1][0] - readings[0][0]) / 60
    middle = statistics.median(value for _, value in readings)
    by_minute = slope(readings) * 60
    share, noise = (SHARE, NOISE) if minutes >= FULL else (SHORT_SHARE, SHORT_NOISE)
    grows = by_minute > share * middle and by_minute * minutes > max(noise * middle, floor)
    return Verdict(what, readings[0][1], readings[-1][1], by_minute, minutes, grows)


class Table(Struct, frozen=True):
    at: float
    rows: int
    size: int  # with its indexes


class Watch:
    def __init__(self, house: House, book: Book) -> None:
        self._house = house
        self._book = book
        self._born: dict[tuple[str, int], float] = {}
        self.series: dict[tuple[str, int, str], list[tuple[float, float]]] = defaultdict(list)
        self.tables: dict[str, list[Table]] = defaultdict(list)
        self.wal: list[tuple[float, int]] = []
        self.logs: list[tuple[float, int, int]] = []  # when, bytes, answers until then
        self.temporary: list[tuple[float, int]] = []

    def live(self) -> None:
        while not self._book.over.wait(EVERY):
            self.read()

    def read(self) -> None:
        for server in (*SERVERS, "supervisor"):
            pid = self._house.pid(server)
            if pid is not None:
                self._process(server, pid)
        self._command_lines()
        self.logs.append((self._book.now, size_of(self._house.data / "logs"), self._book.answers.total()))
        self.temporary.append((self._book.now, len(self.temporary_files())))

    def _process(self, server: str, pid: int) -> None:
        now = self._book.now
        if now - self._born.setdefault((server, pid), now) < WARM:
            return
        entry = Path(f"/proc/{pid}")
        try:
            descriptors = len(list((entry / "fd").iterdir()))
            threads = int(entry.joinpath("status").read_text().partition("Threads:")[2].split()[0])
        except (OSError, IndexError):
            return
        for what, value in (("pss", self._pss(server, pid)), ("descriptors", descriptors), ("threads", threads)):
            if value:
                self.series[server, pid, what].append((now, float(value)))

    def _pss(self, server: str, pid: int) -> int:
        """PostgreSQL's with its backends. 0: not to be read."""
        if self._book.now < _SETTLED.get(server, 0.0):
            return 0  # they hold the list, or its rows, which is as long as it gets only then
        return pss_bytes([pid]) if server == "database" else proc.pss([pid])

    def _command_lines(self) -> None:
        for pid in self._house.all_pids():
            try:
                words = set(Path(f"/proc/{pid}/cmdline").read_bytes().decode("latin-1").replace("=", "\0").split("\0"))
            except OSError:
                continue
            self._book.look("I8", not words & self._book.secrets, f"a secret in /proc/{pid}/cmdline")

    def temporary_files(self) -> list[Path]:
        """Half uploads, half-written files of ours, PostgreSQL's own."""
        data, engines = self._house.data, Path(self._house.at.engines)
        return [
            *data.glob("files/half/*"), *data.rglob("*.part"), *data.glob(".*.[0-9]*"),
            *engines.glob("database/base/pgsql_tmp/*"),
        ]  # fmt: skip

    async def read_tables(self) -> None:
        connection: Any = await self._house.connect()
        try:
            for row in await connection.fetch(_TABLES):
                rows = await connection.fetchval(f'SELECT count(*) FROM "{row["name"]}"')
                self.tables[row["name"]].append(Table(self._book.now, rows, row["size"]))
        finally:
            await connection.close()
        self.wal.append((self._book.now, size_of(Path(self._house.at.engines, "database", "pg_wal"))))

    def verdicts(self) -> list[Verdict]:
        found = [
            judged(f"{server} {what}", readings, _floor(server, what))
            for (server, _, what), readings in sorted(self.series.items())
            if server != "app" or what != "pss"  # the app is the demo's own: a stranger
        ]
        return [one for one in found if one is not None]


def _floor(server: str, what: str) -> float:
    return _SHARED_BUFFERS if (server, what) == ("database", "pss") else _FLOORS[what]


def size_of(directory: Path) -> int:
    total = 0
    for path in directory.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue  # it turned in this moment
    return total


_TABLES = """
    SELECT relname AS name, pg_total_relation_size(oid) AS size FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND pg_total_relation_size(oid) > 262144
"""
