"""The nine servers and the demo as a person starts them: how soon ready, how much they take while nobody comes.

The bar is for the nine, the demo among them; supervisor and nursery stand beside (design §9, decision 0009). The
processor's share is of all.

These rows have the machine to themselves: another copy beside would share its pages, and halve what they weigh.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.figures import Result, Row
from benchmarks.options import Options
from benchmarks.processes import cpu_seconds, pss_bytes
from benchmarks.product import Site

IDLE_MB, IDLE_CORE = 300, 0.01
FIRST_SECONDS, WARM_SECONDS = 8.0, 2.0
_SETTLE = 8.0  # what a start leaves to be done: the first purge, the first scrapes


def rows(options: Options) -> list[Result]:
    with tempfile.TemporaryDirectory(prefix="bz-bench-demo-") as directory:
        site = Site(Path(directory), "--demo")
        try:
            first = site.start()
            site.stop()
            warm = site.start()
            idle = _idle(site, options.idle) if "idle" in options.rows else None
        finally:
            site.stop()
            site.forget()
    ready = [_ready("ready_first", first, FIRST_SECONDS), _ready("ready_warm", warm, WARM_SECONDS)]
    return ready if idle is None else [*ready, idle]


def _idle(site: Site, seconds: float) -> Result:
    time.sleep(_SETTLE)
    roots = [site.supervisor]
    trees = {"all": roots} | {row["name"]: row["pids"] for row in _processes(site)}
    before, begun = {name: cpu_seconds(pids) for name, pids in trees.items()}, time.monotonic()
    time.sleep(seconds)
    lasted = time.monotonic() - begun
    shares_of_core = {name: (cpu_seconds(pids) - before[name]) / lasted for name, pids in trees.items()}
    core = shares_of_core["all"]
    status = site.status()
    nine = sum(row["pss_bytes"] for row in status["servers"])
    shares = {row["name"]: round(row["pss_bytes"] / 1e6, 1) for row in _processes(site)}
    return Result(
        row=Row(name="idle", bar=IDLE_MB),
        met=nine <= IDLE_MB * 1e6 and core < IDLE_CORE,
        beside={
            "pss_nine_mb": round(nine / 1e6, 1),
            "pss_all_mb": round(pss_bytes(roots) / 1e6, 1),
            "pss_mb_by_server": shares,
            "core": round(core, 4),
            "core_by_server": {name: round(share, 4) for name, share in shares_of_core.items()},
            "seconds": seconds,
            "said": f"{nine / 1e6:.0f} MB PSS of {IDLE_MB}, {core:.2%} of a core of {IDLE_CORE:.0%}",
        },
    )


def _processes(site: Site) -> list[dict[str, Any]]:
    """Those that share a process (auth, frontend, files) each tell all of its CPU, and their part of its memory."""
    status = site.status()
    return [*status["servers"], *status["others"]]


def _ready(name: str, seconds: float, bar: float) -> Result:
    return Result(
        row=Row(name=name, p50_ms=round(seconds * 1000), p99_ms=round(seconds * 1000), bar=bar * 1000),
        met=seconds <= bar,
        beside={"said": f"{seconds:.2f} s of {bar:g} s"},
    )
