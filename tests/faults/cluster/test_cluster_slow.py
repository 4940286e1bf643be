"""X5: a database that is slow or silent (every connection of the pool hangs), locks that are held.

Must hold: every answer comes before the gateway would cut it, as 200 or 503 with Retry-After; the queue is bounded;
JWKS and discovery stay fast; who needs nothing of what is held goes on; all recovers when it is over.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import asyncpg
import pytest
from msgspec import Struct
from tests.faults.cluster.crowd import Crowd, share
from tests.faults.cluster.proxy import Proxy
from tests.faults.forms import rows
from tests.faults.steps import basic
from tests.fixtures.nodes import Node, Site
from tests.fixtures.wire import Wire
from tests.histories.play import FORM

pytestmark = pytest.mark.faults

DEADLINE = (
    11.5  # two in the queue, two for a connection, six for a statement, and some for a busy machine; routes have 15
)
CROWD = 150
AGENT = basic("agent") | {"content-type": FORM}

MUTANTS = {
    "a queue without patience": {
        "module": "bartizan.database.coalesce",
        "before": "        elif self._looking is None:",
        "after": "        elif False:",
    },
    "a silent connection is waited for": {
        "module": "bartizan.database.connection",
        "before": "    if kept_silent(error):",
        "after": "    if isinstance(error, ZeroDivisionError):",
    },
    "keys wait for the database": {
        "module": "bartizan.auth.keys",
        "before": "        if self._held is None or self._age() < REFRESH_SECONDS:",
        "after": "        if True:",
    },
}


class Probe(Struct):
    """A route asked again and again."""

    answers: Counter[int]
    times: list[float]


class Trouble(Struct, frozen=True):
    begin: Callable[[Site, Proxy], AbstractAsyncContextManager[None]]
    seconds: float
    others: bool  # what does not touch the families goes on meanwhile


@asynccontextmanager
async def held_lock(tables: str, site: Site, proxy: Proxy) -> AsyncIterator[None]:
    connection: Any = await asyncpg.connect(site.url)  # type: ignore[no-untyped-call]  # theirs
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {tables}")
            yield
    finally:
        await connection.close()


@asynccontextmanager
async def silence(site: Site, proxy: Proxy) -> AsyncIterator[None]:
    proxy.silent = True
    yield
    proxy.silent = False
    proxy.cut()  # what was swallowed never comes


@asynccontextmanager
async def slowness(site: Site, proxy: Proxy) -> AsyncIterator[None]:
    proxy.delay = 5.0
    yield
    proxy.delay = 0.0


ALL_BUT_KEYS = "clients, ended, users, meta, families"
TROUBLES = {
    "the families are locked": Trouble(partial(held_lock, "families"), 2.5, others=True),
    "the database says nothing": Trouble(silence, 3, others=False),
    "all tables but the keys are locked": Trouble(partial(held_lock, ALL_BUT_KEYS), 4, others=False),
    "the database takes five seconds": Trouble(slowness, 12, others=False),
}


@contextmanager
def behind_a_proxy(site: Site, *mutant: dict[str, str]) -> Iterator[tuple[Proxy, Node]]:
    proxy = Proxy(site.base / f"x{len(site.nodes)}", site.url).start()
    node = site.node(database=proxy.url).start(mutant=mutant)
    try:
        yield proxy, node
    finally:
        node.kill()
        proxy.stop()


async def asked_on(node: Node, until: float, method: str, path: str, body: bytes = b"") -> Probe:
    probe, wire = Probe(Counter(), []), Wire(node.sockets / "auth.sock")
    begun = 0.0
    while begun < until:
        begun = time.monotonic()
        said = await wire.ask(method, path, AGENT if body else {}, body)
        probe.answers[said.status] += 1
        probe.times.append(time.monotonic() - begun)
        await asyncio.sleep(0.05)
    wire.close()
    return probe


class Seen(Struct):
    during: Counter[int]
    worst: float
    bare: int
    jwks: Probe
    discovery: Probe
    others: Probe
    after: Counter[int]
    took: float
    rotations: set[int]

    def faults(self, trouble: Trouble) -> list[str]:
        """What must hold and does not."""
        found = {
            "something else than 200 and 503": set(self.during) <= {200, 503},
            "no 503 at all": self.during[503] > 0,
            "a 503 without Retry-After": not self.bare,
            "somebody waited too long": self.worst < DEADLINE,
            "JWKS not answered": set(self.jwks.answers) == {200},
            "JWKS slow": share(self.jwks.times, 0.99) < 0.5,
            "discovery not answered": set(self.discovery.answers) == {200},
            "discovery slow": share(self.discovery.times, 0.99) < 0.25,
            "others not served": not trouble.others or set(self.others.answers) == {200},
            "others slow": not trouble.others or share(self.others.times, 0.95) < 0.5,
            "no recovery": self.after[200] == CROWD and self.took < 10,
            "not each has rotated": self.rotations <= {2, 3},
        }
        return [name for name, holds in found.items() if not holds]


async def lived_through(site: Site, proxy: Proxy, node: Node, trouble: Trouble, crowd: Crowd) -> Seen:
    agent = b"grant_type=client_credentials"
    try:
        await asyncio.gather(*(crowd.ask(member) for member in crowd.members))
        assert crowd.statuses == {200: CROWD}
        assert set((await asked_on(node, time.monotonic(), "GET", "/jwks")).answers) == {200}
        crowd.forget()
        async with trouble.begin(site, proxy):
            until = time.monotonic() + trouble.seconds
            herd = asyncio.gather(*(crowd.ask(member) for member in crowd.members))
            jwks, discovery, others = await asyncio.gather(
                asked_on(node, until, "GET", "/jwks"),
                asked_on(node, until, "GET", "/.well-known/openid-configuration"),
                asked_on(node, until, "POST", "/token", agent),
            )
        await herd
        during, worst = Counter(crowd.statuses), crowd.worst()
        crowd.forget()
        begun = time.monotonic()
        await asyncio.gather(*(crowd.until_done(member, seconds=20) for member in crowd.members))
        return Seen(
            during, worst, crowd.bare, jwks, discovery, others, Counter(crowd.statuses),
            time.monotonic() - begun, {member.rotations for member in crowd.members},
        )  # fmt: skip
    finally:
        crowd.close()


@pytest.mark.parametrize("name", rows(TROUBLES, short=2))
def test_a_database_in_trouble_holds_up_nobody_for_long(shared_nodes_site: Site, name: str) -> None:
    trouble = TROUBLES[name]
    with behind_a_proxy(shared_nodes_site) as (proxy, node):
        crowd = Crowd(shared_nodes_site, [node], CROWD)
        seen = asyncio.run(lived_through(shared_nodes_site, proxy, node, trouble, crowd))
    assert seen.faults(trouble) == [], seen


@pytest.mark.parametrize("mutant", rows(MUTANTS, short=0))
def test_without_the_protection_it_is_seen(shared_nodes_site: Site, mutant: str) -> None:
    found: list[str] = []
    with behind_a_proxy(shared_nodes_site, MUTANTS[mutant]) as (proxy, node):
        for name in ("the database says nothing", "the families are locked", "the database takes five seconds"):
            crowd = Crowd(shared_nodes_site, [node], CROWD)
            seen = asyncio.run(lived_through(shared_nodes_site, proxy, node, TROUBLES[name], crowd))
            found += seen.faults(TROUBLES[name])
            if found:
                return
    pytest.fail(f"{mutant}: not seen")
