"""`python -m tests.soak --minutes 3 --seed 7`: all at once, at random, with faults. Ends with 1 on a failed check."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.fixtures.nodes import HOOK
from tests.histories.mutants import MUTANTS
from tests.soak.run import Settings, say, soak, told, write


@contextlib.contextmanager
def _without(mutant: str | None) -> Iterator[None]:
    """Of the processes that this one will start."""
    if mutant is None:
        yield
        return
    with tempfile.NamedTemporaryFile("w", prefix="bzs-", suffix=".json") as file:
        file.write(json.dumps([MUTANTS[mutant]]))
        file.flush()
        os.environ.update({"PYTHONPATH": str(HOOK), "BARTIZAN_MUTANT": file.name})
        yield


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    asked.add_argument("--minutes", type=float, default=3.0)
    asked.add_argument("--seed", type=int, default=None, help="default: a new one, which is printed")
    asked.add_argument(
        "--json",
        type=Path,
        default=None,
        help="where the summary goes, events and logs beside it; else it is kept only on failure",
    )
    asked.add_argument("--mutant", choices=sorted(MUTANTS), default=None, help="take one protection out: it must fail")
    given = asked.parse_args()
    seed = int.from_bytes(os.urandom(4)) if given.seed is None else given.seed
    settings = Settings(seconds=given.minutes * 60, seed=seed, summary=given.json)
    print(f"seed {seed}", flush=True)
    try:
        with _without(given.mutant):
            report = soak(settings, say)
    except KeyboardInterrupt:
        print("stopped; nothing is left behind")
        return 130
    print(told(report))
    if given.json is not None or not report.fine:  # a good run leaves nothing that was not asked for
        events = write(report, settings.kept)
        print(f"the summary is in {settings.kept}, what was hurt when in {events}")
    if not report.fine:
        print(f"to run it again: {settings.replay}")
    return 0 if report.fine else 1


if __name__ == "__main__":
    sys.exit(main())
