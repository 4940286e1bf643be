"""X19: a backlog of thousands of jobs with poison among them. Poison is parked after its tries and seen, the others
drain, the worker's memory stays bounded, and people sign in meanwhile as ever (I10).
"""

from __future__ import annotations

import time

import pytest
from tests.faults import steps
from tests.faults.forms import LONG
from tests.faults.kernel import resident
from tests.faults.stores import held
from tests.faults.stores.held import Mutant
from tests.fixtures.nodes import Node, Site
from tests.fixtures.stack import free_port

pytestmark = pytest.mark.faults

WAITING = 100_000 if LONG else 5_000
SECONDS = 600.0 if LONG else 40.0
GROWTH = 40 * 1024 * 1024
UNREADABLE, FAILING = 20, 20
_PARKED = "SELECT count(*) FILTER (WHERE status = 'failed') AS parked, count(*) AS all FROM pgqueuer"


def check_backlog(site: Site, waiting: int, mutant: Mutant = (), seconds: float = SECONDS) -> None:
    steps.rows(site, "DELETE FROM pgqueuer")
    auth = site.node("auth").start()
    person = steps.people(site, password=True)[0]
    # Poison before, between and after the others.
    held.enqueue(site, "file.thumbnail", [{}] * UNREADABLE, b"no job at all")
    for begin in range(0, waiting, 5_000):
        held.enqueue(site, "mail.none", [{}] * min(5_000, waiting - begin))
        if begin == 0:
            held.enqueue(site, "mail.theft", [{}] * FAILING)
    steps.rows(site, "UPDATE pgqueuer SET attempts = 7 WHERE entrypoint = 'mail.theft'")  # seven tries lie behind them
    port = free_port()
    node = site.node("worker", "monitoring", more=f"\n[monitoring]\nport = {port}\n").start(mutant=mutant)
    try:
        before, begun = resident(node.pid), time.monotonic()
        poison = UNREADABLE + FAILING
        while True:
            at = time.monotonic()
            assert steps.sign_in(steps.Browser(auth), person).status == 303
            assert time.monotonic() - at < 2.5, "I10: a sign-in waits for the backlog"
            found = steps.rows(site, _PARKED)[0]
            if found == {"parked": poison, "all": poison} or time.monotonic() - begun > seconds:
                break
            time.sleep(0.2)  # between two looks
        assert found == {"parked": poison, "all": poison}, f"I1: the others drain and poison stays: {found}"
        assert resident(node.pid) - before < GROWTH, f"the worker grew by {(resident(node.pid) - before) >> 20} MB"
        held.i9_recovers(lambda: _parked_in(node) == poison)
    finally:
        node.kill()
        auth.kill()
        steps.rows(site, "DELETE FROM pgqueuer")


def _parked_in(node: Node) -> int:
    lines = node.ask("GET", "/metrics", at="monitoring").body.decode().splitlines()
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith("bartizan_jobs_parked{"))


def test_a_backlog_drains_around_its_poison(shared_nodes_site: Site) -> None:
    check_backlog(shared_nodes_site, WAITING)


def test_a_worker_that_does_not_park_fails_the_check(shared_nodes_site: Site) -> None:
    change = held.mutant("bartizan.worker.execute", "if attempt >= row.attempts:", "if attempt >= row.attempts + 9:")
    with pytest.raises(AssertionError, match="poison stays"):
        check_backlog(shared_nodes_site, 10, change, 3.0)
