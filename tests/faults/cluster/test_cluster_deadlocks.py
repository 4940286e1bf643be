"""X6: deadlocks, lock time-outs, serialization failures.

Must hold: never a 500; what was beaten is tried again within bounds, or 503 with Retry-After; each effect once.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
import pytest
from tests.faults import steps
from tests.faults.forms import rows
from tests.fixtures.nodes import Node, Site
from tests.fixtures.wire import Answer
from tests.histories import run
from tests.histories.plant import authorization

pytestmark = pytest.mark.faults

FAMILY = "SELECT id FROM families WHERE id = $1 FOR UPDATE"
SESSION = "SELECT id FROM sessions WHERE id = $1 FOR UPDATE"

MUTANTS = {
    "a deadlock is a defect": {
        "module": "bartizan.database.connection",
        "before": '        return Beaten("database", 1)',
        "after": "        return None",
    },
    "who was beaten gives up": {
        "module": "bartizan.database.rotations",
        "before": "with suppress(Beaten):",
        "after": "with suppress(ZeroDivisionError):",
    },
}


def crossed(site: Site, node: Node) -> tuple[Answer, dict[str, int]]:
    """Until the server chose the node's transaction: it takes whose second is over first, mostly the node's."""
    for _ in range(5):
        answer, counts, we = crossed_once(site, node)
        if not we:
            return answer, counts
    pytest.fail("the server chose us five times")


def crossed_once(site: Site, node: Node) -> tuple[Answer, dict[str, int], bool]:
    """Theft locks the session, then the family; we lock the family in between, and ask for the session: the server must
    end one of both."""
    person = steps.people(site)[0]
    family, _ = steps.family(site, person, client="app", bff=True, generation=5)
    stolen = steps.token_of(site, family.id, 2)
    lock_session = SESSION.replace("$1", f"'{person.session.id}'")
    lock_family = FAMILY.replace("$1", f"'{family.id}'")

    async def meet() -> tuple[Answer, bool]:
        first: Any = await asyncpg.connect(site.url)  # type: ignore[no-untyped-call]  # theirs
        second: Any = await asyncpg.connect(site.url)  # type: ignore[no-untyped-call]  # theirs
        we = False
        try:
            holding, crossing = first.transaction(), second.transaction()
            await holding.start()
            await first.execute(lock_session)
            with ThreadPoolExecutor(1) as beside:
                answer = beside.submit(_as_the_app, site, node, stolen)
                await _waits(site, "sessions")
                await crossing.start()
                await second.execute(lock_family)
                await holding.rollback()
                await _waits(site, "families")
                try:
                    await second.execute(lock_session)
                except asyncpg.DeadlockDetectedError:
                    we = True
                await crossing.rollback()
                return await asyncio.wrap_future(answer), we
        finally:
            await first.close()
            await second.close()

    answer, we = asyncio.run(meet())
    counts = {
        "theft": len(steps.rows(site, "SELECT FROM events WHERE code = 'refresh.theft' AND gid = $1", family.id)),
        "ended": len(steps.rows(site, "SELECT FROM families WHERE id = $1 AND ended_at IS NOT NULL", family.id)),
        "listed": len(steps.rows(site, "SELECT FROM ended WHERE gid = $1", family.id)),
        "sessions": len(
            steps.rows(site, "SELECT FROM sessions WHERE id = $1 AND ended_at IS NOT NULL", person.session.id)
        ),
    }
    return answer, counts, we


def _as_the_app(site: Site, node: Node, token: str) -> Answer:
    body = f"grant_type=refresh_token&refresh_token={token}".encode()
    return node.ask("POST", "/token", headers=steps.FORM | authorization(site, "app"), body=body, timeout=20)


async def _waits(site: Site, table: str) -> None:
    """Until a statement about this table waits for a lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE $1"
    connection: Any = await asyncpg.connect(site.url)  # type: ignore[no-untyped-call]  # theirs
    try:
        until = time.monotonic() + 5
        while not await connection.fetchval(query, f"%FROM {table} %"):
            assert time.monotonic() < until, "nobody waits"
            await asyncio.sleep(0.02)
    finally:
        await connection.close()


ONCE = {"theft": 1, "ended": 1, "listed": 1, "sessions": 1}


def test_a_deadlock_is_tried_again_and_has_its_effect_once(shared_nodes_site: Site) -> None:
    node = shared_nodes_site.node().start()
    answer, counts = crossed(shared_nodes_site, node)
    assert (answer.status, answer.json()["error"]) == (400, "invalid_grant")
    assert counts == ONCE
    node.kill()


@pytest.mark.parametrize("mutant", rows(MUTANTS))
def test_without_the_protection_it_is_seen(shared_nodes_site: Site, mutant: str) -> None:
    node = shared_nodes_site.node().start(mutant=(MUTANTS[mutant],))
    answer, counts = crossed(shared_nodes_site, node)
    assert answer.status != 400 or counts != ONCE
    node.kill()


def test_a_row_that_is_held_is_waited_for_two_seconds_and_then_503(shared_nodes_site: Site) -> None:
    node = shared_nodes_site.node().start()
    person = steps.people(shared_nodes_site)[0]
    family, token = steps.family(shared_nodes_site, person)

    async def held() -> tuple[Answer, float]:
        connection: Any = await asyncpg.connect(shared_nodes_site.url)  # type: ignore[no-untyped-call]  # theirs
        try:
            async with connection.transaction():
                await connection.execute(FAMILY.replace("$1", f"'{family.id}'"))
                begun = time.monotonic()
                answer = await asyncio.to_thread(steps.refreshed, node, token)
                return answer, time.monotonic() - begun
        finally:
            await connection.close()

    answer, took = asyncio.run(held())
    assert (answer.status, "retry-after" in answer.headers) == (503, True)
    assert 1.5 < took < 4
    assert steps.refreshed(node, token).status == 200
    assert steps.rows(shared_nodes_site, "SELECT generation FROM families WHERE id = $1", family.id) == [
        {"generation": 2}
    ]
    node.kill()


@pytest.mark.parametrize("isolation", rows({"serializable": "", "repeatable read": ""}))
def test_under_a_stricter_isolation_nothing_is_a_defect(nodes_site: Site, isolation: str) -> None:
    """Statements then fail that would have waited; a site's database may be set so."""
    database = nodes_site.url.split("@/", 1)[1].split("?", 1)[0]
    steps.rows(nodes_site, f"ALTER DATABASE {database} SET default_transaction_isolation = '{isolation}'")
    nodes = nodes_site.two()
    history = run.record(nodes_site, nodes, run.Settings(calls=700, seed=run.seed()))
    report = run.check(history)
    told = run.told(history, report)
    assert not history.faults, told
    assert not report.wrong, told
    assert asyncio.run(run.lost(nodes_site.url, history)) == []
