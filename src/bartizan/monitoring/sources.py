"""Who is asked, one function each: our processes, Envoy, PostgreSQL, Valkey, the user's app.

Each gives what it learned, or None when there was no answer; nothing here raises for a server that is away.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import asyncpg
import structlog
from asyncpg.exceptions import InterfaceError, PostgresError
from msgspec import Struct
from prometheus_client.metrics_core import Metric

from bartizan.monitoring import ask, exposition

log = structlog.get_logger()


class ProcessReport(Struct, frozen=True):
    ready: bool
    metrics: tuple[Metric, ...]


async def process(socket: Path) -> ProcessReport | None:
    address = f"unix:{socket}"
    try:
        ready, metrics = await asyncio.gather(ask.get(address, "/readyz", seconds=3), ask.get(address, "/metrics"))
    except (OSError, TimeoutError):
        return None
    try:
        families = exposition.read(metrics.body.decode("utf-8", "replace"))
    except ValueError:
        log.warning("monitoring.unreadable_metrics", socket=socket.name)
        families = ()
    return ProcessReport(ready.status == 200, families)


_ENVOY_WANTED = (
    r"^http\.gateway\.(downstream_rq_(total|[1-5]xx|time|active)|rbac\..*denied|jwt_authn\.denied)$"
    r"|^cluster\..*\.upstream_rq_[1-5]xx$|rate_limited$|^server\.(uptime|memory_allocated)$"
    r"|^vhost\..*\.route\.held\.upstream_rq_time$"
)
_ENVOY_LINE = re.compile(r"(?P<name>[^:]+): (?P<value>\d+)")
_ENVOY_BUCKET = re.compile(r"(?P<from>[\d.e+]+),(?P<width>[\d.e+]+):(?P<count>\d+)")
_ALL, _HELD = "http.gateway.downstream_rq_time", ".route.held.upstream_rq_time"


class GatewayReport(Struct, frozen=True):
    numbers: dict[str, int]
    p99_ms: float | None  # of the last seconds, without long polls; None: nothing passed


async def envoy(socket: Path) -> GatewayReport | None:
    try:
        wanted = f"/stats?filter={quote(_ENVOY_WANTED, safe='')}&histogram_buckets=detailed"
        answer = await ask.get(f"unix:{socket}", wanted)
    except (OSError, TimeoutError):
        return None
    return read_envoy(answer.body.decode("utf-8", "replace")) if answer.status == 200 else None


def read_envoy(text: str) -> GatewayReport:
    """Pure: Envoy's `name: value` lines, and below a histogram's name its `intervals=from,width:count, …`."""
    numbers: dict[str, int] = {}
    passed: dict[float, int] = {}
    held: dict[float, int] = {}
    histogram = ""
    for line in text.splitlines():
        found = _ENVOY_LINE.fullmatch(line)
        if found:
            numbers[found["name"]] = int(found["value"])
        elif not line.startswith(" "):
            histogram = line.rstrip(": ")
        elif line.startswith("  intervals=") and (histogram == _ALL or histogram.endswith(_HELD)):
            into = passed if histogram == _ALL else held
            for bucket in _ENVOY_BUCKET.finditer(line):
                middle = float(bucket["from"]) + float(bucket["width"]) / 2
                into[middle] = into.get(middle, 0) + int(bucket["count"])
    return GatewayReport(numbers, _p99(_without(passed, held)))


def _without(passed: dict[float, int], held: dict[float, int]) -> dict[float, int]:
    """A long poll lasts a little longer for the gateway than for the server behind: it is there, or just above."""
    left = dict(sorted(passed.items()))
    for at, count in sorted(held.items()):
        for middle in left:
            if middle >= at and count:
                taken = min(count, left[middle])
                left[middle] -= taken
                count -= taken
    return left


def _p99(buckets: dict[float, int]) -> float | None:
    """The middle of the bucket in which 99 of 100 are reached."""
    wanted, seen = 0.99 * sum(buckets.values()), 0
    for middle, count in buckets.items():
        seen += count
        if count and seen >= wanted:
            return middle
    return None


_DATABASE_SQL = """
SELECT d.xact_commit, d.xact_rollback, d.blks_hit, d.blks_read, d.deadlocks, d.numbackends,
       pg_database_size(d.datname) AS bytes,
       current_setting('server_version') AS version,
       coalesce((SELECT extract(epoch FROM now() - min(xact_start)) FROM pg_stat_activity
                 WHERE datname = d.datname AND pid <> pg_backend_pid()), 0) AS oldest,
       (SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'families') AS updates,
       (SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'families') AS hot
FROM pg_stat_database d WHERE d.datname = current_database()
"""


class DatabaseReport(Struct, frozen=True):
    commits: int
    rollbacks: int
    hit_share: float | None
    deadlocks: int
    connections: int
    size: int
    version: str
    oldest_seconds: float
    hot_share: float | None


class Database:
    """One connection, kept; taken anew after it was lost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: asyncpg.Connection | None = None

    async def report(self) -> DatabaseReport | None:
        try:
            if self._connection is None:
                self._connection = await asyncpg.connect(  # type: ignore[no-untyped-call] # asyncpg has no types
                    self._url, timeout=2, command_timeout=3, server_settings={"application_name": "monitoring"}
                )
            row = await self._connection.fetchrow(_DATABASE_SQL)
        except (OSError, TimeoutError, PostgresError, InterfaceError):
            await self.close()
            return None
        return _database_report(dict(row))

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()  # type: ignore[no-untyped-call] # asyncpg has no types


def _database_report(row: dict[str, object]) -> DatabaseReport:
    def number(name: str) -> int:
        value = row[name]
        return int(str(value)) if value is not None else 0

    blocks = number("blks_hit") + number("blks_read")
    return DatabaseReport(
        commits=number("xact_commit"),
        rollbacks=number("xact_rollback"),
        hit_share=number("blks_hit") / blocks if blocks else None,
        deadlocks=number("deadlocks"),
        connections=number("numbackends"),
        size=number("bytes"),
        version=str(row["version"]).split(" ")[0],
        oldest_seconds=float(str(row["oldest"])),
        hot_share=number("hot") / number("updates") if number("updates") else None,
    )


class CacheReport(Struct, frozen=True):
    memory: int
    limit: int
    keys: int
    commands: int
    refused_writes: int
    version: str


async def cache(url: str) -> CacheReport | None:
    """`INFO`, spoken by hand: the client library would cost this process 15 MB."""
    try:
        async with asyncio.timeout(2):
            return _cache_report(await _info(url))
    except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return None


async def _info(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "unix" or url.startswith("unix:"):
        reader, writer = await asyncio.open_unix_connection(unquote(parts.path))
    else:
        tls = ssl.create_default_context() if parts.scheme.endswith("s") else None
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 6379, ssl=tls)
    try:
        if parts.password:
            words = ("AUTH", *((unquote(parts.username),) if parts.username else ()), unquote(parts.password))
            writer.write(_command(*words))
            if not (await reader.readuntil(b"\r\n")).startswith(b"+"):
                raise ValueError("the cache refused the password")
        writer.write(_command("INFO", "everything"))
        head = await reader.readuntil(b"\r\n")
        if not head.startswith(b"$"):
            raise ValueError("the cache refused INFO")
        return (await reader.readexactly(int(head[1:]))).decode("utf-8", "replace")
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def _command(*words: str) -> bytes:
    parts = [f"*{len(words)}\r\n".encode()]
    for word in words:
        raw = word.encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(raw), raw))
    return b"".join(parts)


def _cache_report(text: str) -> CacheReport:
    rows = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    keys = sum(int(found) for found in re.findall(r"^db\d+:keys=(\d+)", text, re.MULTILINE))
    refused = re.search(r"^errorstat_OOM:count=(\d+)", text, re.MULTILINE)
    return CacheReport(
        memory=int(rows.get("used_memory", 0)),
        limit=int(rows.get("maxmemory", 0)),
        keys=keys,
        commands=int(rows.get("total_commands_processed", 0)),
        refused_writes=int(refused[1]) if refused else 0,
        version=rows.get("valkey_version", rows.get("redis_version", "")),
    )
