"""`python -m benchmarks [ROW…]`: starts the product, measures, prints one table and writes one file.

Ends with 0 when every row is valid, with 1 when one is void (or, with --strict, misses its bar).
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import asdict

from benchmarks import probe, table
from benchmarks.figures import Result, Row
from benchmarks.options import Options, parse
from benchmarks.processes import pss_bytes
from benchmarks.profiling import Profiler
from benchmarks.rows import ROWS
from benchmarks.stage import Stage, set_up, workplace


def main(words: Sequence[str]) -> int:
    options = parse(words, list(ROWS))
    worst = 0
    for number in range(options.runs):
        if options.runs > 1:
            print(f"Run {number + 1} of {options.runs}")
        worst = max(worst, _run(options))
    return worst


def _run(options: Options) -> int:
    stem = table.stem()
    machine = probe.machine()
    with workplace() as directory:
        stage, found = asyncio.run(set_up(options, Path(directory), "http://127.0.0.1:9"))
        machine |= found | {"options": asdict(options)}
        if options.profile:
            table.RESULTS.mkdir(exist_ok=True)
            stage.profiler = Profiler(table.RESULTS, stem)
        try:
            machine["pss_before_mb"] = _memory(stage)
            results = [_measured(stage, name) for name in options.rows]
            machine["pss_after_mb"] = _memory(stage)
        finally:
            stage.stop()
    machine["load_after"] = list(os.getloadavg())
    path = table.write(machine, results, stem)
    print(_heading(machine, options))
    print(table.as_table(results))
    print(f"Written to {path}")
    if stage.profiler is not None:
        print("\n".join(f"Profile: {one}" for one in stage.profiler.written))
    void = any(result.void for result in results)
    missed = any(result.met is False for result in results)
    return 1 if void or (options.strict and missed) else 0


def _measured(stage: Stage, name: str) -> Result:
    """A row that fails is void, and the others go on."""
    print(f"{name} …", file=sys.stderr, flush=True)
    try:
        return ROWS[name](stage)
    except (RuntimeError, OSError, ValueError) as wrong:
        return Result(row=Row(name=name), void=f"{type(wrong).__name__}: {wrong}")


def _memory(stage: Stage) -> dict[str, int]:
    """MB by server, and all of the tree; a process that is several servers is told under each of them."""
    rows = stage.site.status()["servers"]
    found = {row["name"]: round(pss_bytes(row["pids"]) / 1e6) for row in rows if row["pids"]}
    return found | {"all": round(pss_bytes([stage.site.supervisor]) / 1e6)}


def _heading(machine: dict[str, object], options: Options) -> str:
    return (
        f"{machine['cpu']}, {machine['cores']} cores, load before {machine['load_before']};"
        f" {machine['ecdsa_p256_signs_per_second']} ES256 signs/s,"
        f" {machine['durable_commits_per_second']} durable commits/s one after the other;"
        f" {options.connections} connections, {options.families:,} families, {options.users:,} users,"
        f" {options.clients:,} clients, {options.seconds:g} s a row, workers: {options.workers}"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
