"""`python -m tests.histories --calls 100000 --seed 7`: record, check, tell. Ends with 1 when something is wrong."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from tests.fixtures.nodes import new_site
from tests.histories import run
from tests.histories.mutants import MUTANTS


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.histories", description=__doc__)
    asked.add_argument("--calls", type=int, default=100_000)
    asked.add_argument("--seed", type=int, default=None)
    asked.add_argument("--kills", type=int, default=None, help="default: one for 10,000 calls, at least two")
    asked.add_argument("--mutant", choices=sorted(MUTANTS), default=None)
    given = asked.parse_args()
    seed = run.seed() if given.seed is None else given.seed
    kills = max(2, given.calls // 10_000) if given.kills is None else given.kills
    kills = 0 if given.mutant else kills  # a node is started again as it is, without the mutant
    settings = run.Settings(calls=given.calls, seed=seed, kills=kills, linger=given.calls >= 20_000)
    print(f"seed {seed}", flush=True)
    base = Path(tempfile.mkdtemp(prefix="bzn-"))
    site = new_site(base)
    try:
        mutant = (MUTANTS[given.mutant],) if given.mutant else ()
        nodes = [site.node().start(mutant=mutant) for _ in range(2)]
        history = run.record(site, nodes, settings)
        report = run.check(history)
        missing = asyncio.run(run.lost(site.url, history))
    finally:
        site.close()
        shutil.rmtree(base, ignore_errors=True)
    print(run.told(history, report))
    print(f"acknowledged and not in the rows: {len(missing)}", *missing[:5], sep="\n    ")
    if report.wrong or history.faults or missing:
        print(f"the history is in {run.keep(history)}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
