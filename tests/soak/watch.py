"""What must not grow, read every few seconds, and the verdict on it: a slope, and what it may be.

Theil and Sen's slope, the median of those between all pairs of readings: three in ten readings may be anything (a
fault, a burst) and it does not move. A series fails when its slope is above 0.8 % of its median a minute, half of that
also in its later half, AND what it has gained is more than its noise. Noise is 3 % of it, and for memory not below
1 MB, which an allocator takes at once.

Memory is anonymous memory with what of it was swapped out: not the proportional share, which moves by itself when the
nursery's other children come and go, or another copy of Envoy maps the same file. Of Envoy, whose allocator leaves a
third of its pages between what lives, also what it has allocated by its own count. A process is watched when it is
`WARM` old; what has a bound is full by then (`tests/soak/filling.py`). In a run of 10 minutes each is watched for four
and a half at least, without a kill: a leak of 1 % a minute fails. Shorter runs find what grows by 5 % a minute.
"""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from msgspec import Struct
from tests.fixtures.nodes import Node
from tests.soak.book import Book
from tests.soak.house import SERVERS, House

from bartizan.gateway.compiler.published import ENDED_FILE
from bartizan.stack import proc

EVERY = 2.0
WARM = 45.0  # seconds in which a process fills its caches and pools, and is filled
SHARE = 0.008  # of the median, a minute
NOISE = 0.03
GOES_ON = 0.5  # of that slope, also in the later half: what filled up in the earlier one is no leak
FULL = 4.5  # minutes of readings; in fewer, what a burst leaves cannot be told from what leaks
SHORT_SHARE = 0.05
SHORT_NOISE = 0.05
MOST = 240  # readings that are compared in pairs
_NEEDED = 45.0  # seconds of readings, for a verdict
_FLOORS = {"memory": 1_000_000.0, "allocated": 1_000_000.0, "descriptors": 8.0, "threads": 4.0}
_BACKENDS = 16_000_000.0  # PostgreSQL has one more or less for each connection, and each has read its own catalogue
_FRAGMENTS = 10_000_000.0  # of Envoy's pages, between what lives on them; what it has allocated is judged without
_UNFOLDED = 8  # bytes of Envoy for a byte of the file that lists the ended (1,500 entries: 2.1 MB and 261 KB)
_KEPT = re.compile(r"^(?:Anonymous|Swap):\s+(\d+) kB", re.MULTILINE)


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
    goes_on = slope(readings[len(readings) // 2 :]) * 60 > GOES_ON * share * middle
    grows = goes_on and by_minute > share * middle and by_minute * minutes > max(noise * middle, floor)
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
        entry, found = Path(f"/proc/{pid}"), {}
        try:
            found["descriptors"] = len(list((entry / "fd").iterdir()))
            found["threads"] = int(entry.joinpath("status").read_text().partition("Threads:")[2].split()[0])
            if server == "envoy":
                found["allocated"] = allocated(Path(self._house.at.sockets))
        except (OSError, IndexError):
            return
        found["memory"] = memory(proc.tree([pid])[pid] if server == "database" else [pid])
        for what, value in found.items():
            if value:
                self.series[server, pid, what].append((now, float(value)))

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
            if server != "app" or what != "memory"  # the app is the demo's own: a stranger
        ]
        return [one for one in found if one is not None]


def _floor(server: str, what: str) -> float:
    return {"database memory": _BACKENDS, "envoy memory": _FRAGMENTS}.get(f"{server} {what}", _FLOORS[what])


def memory(pids: Sequence[int]) -> int:
    """Bytes that nobody else can give back: neither files' pages nor what is mapped to be shared."""
    total = 0
    for pid in pids:
        try:
            total += sum(map(int, _KEPT.findall(Path(f"/proc/{pid}/smaps_rollup").read_text()))) * 1024
        except OSError:
            continue  # it has just ended
    return total


def allocated(sockets: Path) -> int:
    """Bytes that Envoy has by its own count, less the list of the ended, which comes and goes. 0: no answer."""
    said = Node(sockets, sockets, "envoy", ()).ask("GET", "/memory", at="envoy-admin", timeout=1.0)
    if said.status != 200:
        return 0
    return int(str(said.json()["allocated"])) - _UNFOLDED * (sockets / "gateway" / ENDED_FILE).stat().st_size


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
