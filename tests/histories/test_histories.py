"""Security requirements §6: a recorded history on two nodes is linearizable, whatever node dies in it; and the checker
finds each protection that is taken out. BARTIZAN_HISTORY_CALLS=100000 is the full form, BARTIZAN_HISTORY_SEED a replay.
"""

from __future__ import annotations

import asyncio
import os

import pytest
from tests.faults.forms import LONG, rows
from tests.fixtures.nodes import Site
from tests.histories import run
from tests.histories.mutants import MUTANTS

pytestmark = pytest.mark.faults

CALLS = int(os.environ.get("BARTIZAN_HISTORY_CALLS", "6000"))
MUTANT_CALLS = 6000 if LONG else 900


def test_concurrent_calls_with_kill_9_are_linearizable(nodes_site: Site) -> None:
    settings = run.Settings(calls=CALLS, seed=run.seed(), kills=max(2, CALLS // 10_000), linger=CALLS >= 20_000)
    history = run.record(nodes_site, nodes_site.two(), settings)
    report = run.check(history)
    told = run.told(history, report)
    print(told)
    missing = asyncio.run(run.lost(nodes_site.url, history))
    if report.wrong or history.faults or missing:
        pytest.fail(f"{told}\n{missing[:5]}\nthe history is in {run.keep(history)}")
    assert len(history.calls) >= CALLS, told
    assert history.kills == settings.kills
    assert sum(call.known for call in history.calls) > 0.9 * CALLS, told


@pytest.mark.parametrize("mutant", rows(MUTANTS, short=3))
def test_the_checker_finds_a_protection_that_is_gone(shared_nodes_site: Site, mutant: str) -> None:
    nodes = shared_nodes_site.two(MUTANTS[mutant])
    try:
        settings = run.Settings(calls=MUTANT_CALLS, seed=run.seed())
        history = run.record(shared_nodes_site, nodes, settings)
        report = run.check(history)
    finally:
        for node in nodes:
            node.kill()
    told = run.told(history, report)
    assert not history.faults, told
    assert report.wrong, told
