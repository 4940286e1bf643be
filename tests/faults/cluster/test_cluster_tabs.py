"""Flows §6, promise 3: a browser full of tabs over two nodes. Six connections, one cookie jar, no lock between tabs.

Must hold: nobody is refused however the answers overtake one another, and what the jar holds in the end still works
when every grace is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import pytest
from tests.faults import steps
from tests.faults.forms import LONG
from tests.fixtures.nodes import Node, Site
from tests.fixtures.wire import Answer, Wire
from tests.histories.plant import Grant, authorization, plant
from tests.histories.play import FORM, Given

pytestmark = pytest.mark.faults

BROWSERS = 200 if LONG else 30
TABS = 16
CONNECTIONS = 6

MUTANT = {
    "module": "bartizan.database.presented",
    "before": "(row.rotated_at, *(row.rotated_before or ()))",
    "after": "(row.rotated_at,)",
}


class Jar:
    """One browser's: every answer is written over the last, in the order of coming."""

    def __init__(self, grant: Grant, nodes: Sequence[Node], headers: dict[str, str]) -> None:
        self.grant = grant
        self.token = grant.token
        self.refused: list[Answer] = []
        self._headers = headers
        self._all = [Wire(nodes[one % len(nodes)].sockets / "auth.sock") for one in range(CONNECTIONS)]
        self._free: asyncio.Queue[Wire] = asyncio.Queue()
        for wire in self._all:
            self._free.put_nowait(wire)

    async def tab(self) -> None:
        """Waits for a connection, then sends what the jar holds at that moment."""
        wire = await self._free.get()
        body = f"grant_type=refresh_token&refresh_token={self.token}".encode()
        said = await wire.ask("POST", "/token", self._headers, body)
        if said.status == 200:
            self.token = msgspec.json.decode(said.body, type=Given).refresh_token
        else:
            self.refused.append(said)
        self._free.put_nowait(wire)

    async def burst(self) -> None:
        await asyncio.gather(*(self.tab() for _ in range(TABS)))

    def close(self) -> None:
        for wire in self._all:
            wire.close()


def refused(site: Site, nodes: Sequence[Node]) -> list[Answer]:
    """Of all browsers, each with its burst; then each once more, when that is long over."""
    headers = {client: authorization(site, client) | {"content-type": FORM} for client in ("app", "shop")}
    grants = plant(site, BROWSERS, codes=False)  # the BFF's, and another's that has no lock either

    async def play() -> list[Answer]:
        first, *jars = [Jar(grant, nodes, headers[grant.client]) for grant in grants]
        await first.tab()  # the signing key is made by whoever is asked first
        first.close()
        for jar in jars:
            await jar.burst()
            await asyncio.to_thread(steps.age, site, jar.grant.family)
            await jar.tab()
            jar.close()
        return [said for jar in jars for said in jar.refused]

    return asyncio.run(play())


def test_a_burst_of_tabs_over_two_nodes_signs_nobody_out(nodes_site: Site) -> None:
    assert refused(nodes_site, nodes_site.two()) == []


def test_without_each_generations_own_time_it_is_seen(nodes_site: Site) -> None:
    assert refused(nodes_site, nodes_site.two(MUTANT))
