"""`python -m benchmarks [ROW…]`: starts the product, measures, prints one table and writes one file.

Ends with 0 when every row is valid, with 1 when one is void (or, with --strict, misses its bar).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import asdict

from benchmarks import probe, table
from benchmarks.figures import Result, Row
from benchmarks.floor.process import upstream
from benchmarks.options import Options, parse
from benchmarks.processes import pss_bytes
from benchmarks.product import free_port
from benchmarks.profiling import Profiler
from benchmarks.rows import ALONE, ON_WISH, ROWS, demo
from benchmarks.stage import Stage, set_up, workplace


def main(words: Sequence[str]) -> int:
    options = parse(words, (*ALONE, *ROWS), ON_WISH)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is stopped then too
    worst = 0
    for number in range(options.runs):
        if options.runs > 1:
            print(f"Run {number + 1} of {options.runs}")
        try:
            worst = max(worst, _run(options))
        except probe.Weakened as wrong:
            print(f"Nothing was measured: {wrong}.", file=sys.stderr)
            return 1
    return worst


def _run(options: Options) -> int:
    stem = table.stem()
    machine = probe.machine() | {"options": asdict(options)}
    results = _alone(options)
    if any(name in ROWS for name in options.rows):
        results += _on_stage(options, machine, stem)
    machine["load_after"] = list(os.getloadavg())
    path = table.write(machine, results, stem)
    print(table.heading(machine, options))
    print(table.as_table(results))
    print(f"Written to {path}")
    void = any(result.void for result in results)
    missed = any(result.met is False for result in results)
    return 1 if void or (options.strict and missed) else 0


def _alone(options: Options) -> list[Result]:
    """What of the demo's rows is wanted; they come of one start."""
    wanted = [name for name in ALONE if name in options.rows]
    if not wanted:
        return []
    _say(", ".join(wanted))
    try:
        return [result for result in demo.rows(options) if result.row.name in wanted]
    except (RuntimeError, OSError) as wrong:
        return [_void(name, wrong) for name in wanted]


def _on_stage(options: Options, machine: dict[str, object], stem: str) -> list[Result]:
    """The rows that share one running product and its data."""
    port = free_port()
    app = upstream(port)
    try:
        with workplace() as directory:
            _say(f"{options.users:,} users, {options.clients:,} clients, {options.families:,} families")
            stage, found = asyncio.run(set_up(options, Path(directory), f"http://127.0.0.1:{port}"))
            machine |= found
            if options.profile:
                stage.profiler = Profiler(table.RESULTS, stem)
            try:
                machine["pss_before_mb"] = _memory(stage)
                results = [_measured(stage, name) for name in options.rows if name in ROWS]
                machine["pss_after_mb"] = _memory(stage)
            finally:
                stage.stop()
            if stage.profiler is not None:
                print("\n".join(f"Profile: {one}" for one in stage.profiler.written))
            return results
    finally:
        app.stop()


def _measured(stage: Stage, name: str) -> Result:
    """A row that fails is void, and the others go on."""
    _say(name)
    try:
        return ROWS[name](stage)
    except (RuntimeError, OSError, ValueError) as wrong:
        return _void(name, wrong)


def _void(name: str, wrong: Exception) -> Result:
    return Result(row=Row(name=name), void=f"{type(wrong).__name__}: {wrong}")


def _memory(stage: Stage) -> dict[str, int]:
    """MB by server, and all of the tree; a process that is several servers is told under each of them."""
    rows = stage.site.status()["servers"]
    found = {row["name"]: round(pss_bytes(row["pids"]) / 1e6) for row in rows if row["pids"]}
    return found | {"all": round(pss_bytes([stage.site.supervisor]) / 1e6)}


def _say(what: str) -> None:
    print(f"{what} …", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
