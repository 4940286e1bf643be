"""X30: five seconds without a database, then everybody at once.

Must hold: what is too much is sent away with 429 or 503 and Retry-After; all have refreshed within 10 s of the
database's return and nobody was signed out; no more hashes at once than there are threads for; memory stays bounded.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.faults import steps
from tests.faults.cluster.crowd import Crowd
from tests.faults.forms import LONG
from tests.faults.kernel import most_resident, threads
from tests.faults.steps import Person
from tests.fixtures.nodes import Node, Site

pytestmark = pytest.mark.faults

CLIENTS = 2000 if LONG else 500
SIGN_INS = 240  # at once; a machine in peace has a few
MEMORY = 400 * 1024 * 1024  # of one node

MUTANTS = {
    "an outage signs out": {
        "module": "bartizan.database.connection",
        "before": '        return Unavailable("database") if gone else None',
        "after": (
            "        from bartizan.protocol.oauth.errors import no\n"
            '        raise no("invalid_grant", "away") from error'
        ),
    },
}


async def outage(
    site: Site, crowd: Crowd, nodes: list[Node], person: Person, statuses: Counter[int]
) -> tuple[float, int]:
    """Everybody tries all the time, people at the sign-in page too. Gives how long after the database's return the last
    had refreshed, and the most threads of a node seen."""
    most = 0
    beside = ThreadPoolExecutor(SIGN_INS)

    async def sign_in(node: Node) -> None:
        browser = steps.Browser(node)
        answer = await asyncio.get_running_loop().run_in_executor(beside, steps.sign_in, browser, person)
        statuses[answer.status] += 1
        if answer.status in (429, 503):
            assert "retry-after" in answer.headers, answer

    async def look() -> None:
        nonlocal most
        while True:
            most = max(most, *(threads(node.pid) for node in nodes))
            await asyncio.sleep(0.05)

    looking = asyncio.create_task(look())
    site.postgres.kill()
    trying = asyncio.gather(*(crowd.until_done(member, seconds=30) for member in crowd.members))
    await asyncio.sleep(5)
    await asyncio.to_thread(site.postgres.start)
    back = time.monotonic()
    crowd.forget()
    await asyncio.gather(trying, *(sign_in(nodes[one % len(nodes)]) for one in range(SIGN_INS)))
    looking.cancel()
    beside.shutdown()
    crowd.close()
    return max(member.done_at for member in crowd.members) - back, most


def test_everybody_is_back_soon_and_nobody_was_signed_out(nodes_site: Site) -> None:
    nodes = nodes_site.two()
    crowd = Crowd(nodes_site, nodes, CLIENTS)
    signed: Counter[int] = Counter()
    person = steps.people(nodes_site, password=True)[0]
    took, most = asyncio.run(outage(nodes_site, crowd, nodes, person, signed))
    memory = [most_resident(node.pid) for node in nodes]
    told = f"{took:.1f} s, {crowd.statuses}, sign-ins {signed}, {[one >> 20 for one in memory]} MB, {most} threads"
    print(told)
    assert [member.refused for member in crowd.members if member.refused] == [], told
    assert {member.rotations for member in crowd.members} == {1}, told
    assert set(crowd.statuses) <= {200, 429, 503}, told
    assert crowd.bare == 0, told
    assert took < 10, told
    assert set(signed) <= {303, 429, 503}, told
    assert signed[303] > 5, told
    assert signed[429] + signed[503] > 5, told
    assert all(one < MEMORY for one in memory), told
    assert most < 20, told
    counted = steps.rows(nodes_site, "SELECT count(*) FROM families WHERE ended_at IS NULL AND generation = 2")
    assert counted == [{"count": CLIENTS}]
    asyncio.run(every_chain_lives(crowd))


async def every_chain_lives(crowd: Crowd) -> None:
    crowd.forget()
    await asyncio.gather(*(crowd.ask(member) for member in crowd.members[:100]))
    crowd.close()
    assert crowd.statuses == {200: 100}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_without_the_protection_it_is_seen(nodes_site: Site, mutant: str) -> None:
    nodes = [nodes_site.node().start(mutant=(MUTANTS[mutant],))]
    crowd = Crowd(nodes_site, nodes, 20)
    nodes_site.postgres.kill()

    async def meet() -> None:
        await asyncio.gather(*(crowd.ask(member) for member in crowd.members))
        crowd.close()

    asyncio.run(meet())
    assert any(member.refused for member in crowd.members)
