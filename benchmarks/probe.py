"""What this machine can do by itself, so that figures of two machines can be read side by side."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

from benchmarks.product import Site

_PACKAGES = ("bartizan", "uvicorn", "uvloop", "httptools", "starlette", "asyncpg", "cryptography", "joserfc", "msgspec")
DURABLE = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "autovacuum": "on",
}


class Weakened(Exception):  # noqa: N818 - a sentence: the run counts for nothing
    """A figure that was bought with durability is none."""


def machine() -> dict[str, object]:
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "load_before": list(os.getloadavg()),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _PACKAGES},
        "ecdsa_p256_signs_per_second": round(signs_per_second()),
    }


def signs_per_second(seconds: float = 0.5) -> float:
    """ES256's work, by the library that the product signs with."""
    key, how = generate_private_key(SECP256R1()), ECDSA(SHA256())
    message, count, begun = bytes(300), 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        key.sign(message, how)
        count += 1
    return count / (time.perf_counter() - begun)


async def commits_per_second(connection: Any, seconds: float = 1.0) -> float:
    """One after the other, each on the disk before the next: what a lone rotation cannot beat."""
    await connection.execute("CREATE TABLE IF NOT EXISTS bench_probe (n integer)")
    await connection.execute("INSERT INTO bench_probe VALUES (0)")
    count, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        await connection.execute("UPDATE bench_probe SET n = n + 1")
        count += 1
    lasted = time.perf_counter() - begun
    await connection.execute("DROP TABLE bench_probe")
    return count / lasted


async def settings(connection: Any) -> dict[str, str]:
    """The settings that the figures rest on. Raises Weakened where one buys speed with durability."""
    rows = await connection.fetch("SELECT name, setting FROM pg_settings WHERE name = ANY ($1)", list(DURABLE))
    found = {row["name"]: row["setting"] for row in rows}
    found["server_version"] = await connection.fetchval("SHOW server_version")
    check(found)
    return found


def check(found: dict[str, str]) -> None:
    weak = [
        f"{name} is {found.get(name)}, not {wanted}" for name, wanted in DURABLE.items() if found.get(name) != wanted
    ]
    if weak:
        raise Weakened("; ".join(weak))


class Told(NamedTuple):
    """What the server's sessions have told until now: each tells both at once, at most once a second."""

    commits: int
    syncs: int  # how often the log was made to reach the disk


async def told(site: Site) -> Told:
    connection = await site.connect()
    try:
        row = await connection.fetchrow(
            """
            SELECT (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()) AS commits,
                (SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'wal') AS syncs
            """
        )
    finally:
        await connection.close()
    return Told(int(row["commits"]), int(row["syncs"]))


def too_few_syncs(before: Told, after: Told) -> str:
    """Why a lone row is void, or "". One that does not wait for the disk makes a handful of syncs a second, whatever it
    commits; and some commits have nothing to write."""
    commits, syncs = after.commits - before.commits, after.syncs - before.syncs
    return f"{syncs} syncs of the log for {commits} commits" if commits < 1 or syncs < commits * 0.6 else ""


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
