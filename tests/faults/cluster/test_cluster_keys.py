"""X14: the signing key changes every second or two, under load on two nodes.

Must hold: every token verifies when it comes, at a guard, by introspection at the other node, and by the JWKS that each
node told *before* the token was asked for; a key stays published until the last token that it signed is over.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from datetime import UTC, datetime

import msgspec
import pytest
from msgspec import Struct
from msgspec.structs import replace
from tests.faults import steps
from tests.faults.forms import LONG, long_only
from tests.fixtures.nodes import ISSUER, Node, Site
from tests.fixtures.wire import Wire
from tests.histories.play import FORM, Given

from bartizan.auth import keys as signing
from bartizan.auth.settings import AuthSettings
from bartizan.database.settings import DatabaseSettings
from bartizan.database.store import PostgresStore, connect
from bartizan.guard.keys import Watch
from bartizan.protocol import jose
from bartizan.protocol.jose import KeySet
from bartizan.protocol.secrets import from_base64url
from bartizan.stack import compile as compiled
from bartizan.stack import effective

pytestmark = pytest.mark.faults

SECONDS = 30 if LONG else 5
AHEAD = 1  # seconds; 900 in the product
EVERY = 1.0
AGENT = steps.basic("agent") | {"content-type": FORM}


class Load(Struct):
    """What went wrong, and how much was looked at."""

    failures: Counter[str] = msgspec.field(default_factory=Counter)
    tokens: int = 0
    kids: set[str] = msgspec.field(default_factory=set)
    kept: list[str] = msgspec.field(default_factory=list)


class Told:
    """The JWKS of each node, as it was last told."""

    def __init__(self, nodes: list[Node]) -> None:
        self.sets = {node.name: KeySet({}) for node in nodes}
        self.by_all = asyncio.Event()
        self._nodes = nodes

    async def watch(self, until: float) -> None:
        wires = {node.name: Wire(node.sockets / "auth.sock") for node in self._nodes}
        while time.monotonic() < until:
            await self.once(wires)
            await asyncio.sleep(0.1)
        for wire in wires.values():
            wire.close()

    async def once(self, wires: dict[str, Wire]) -> None:
        for name, wire in wires.items():
            said = await wire.ask("GET", "/jwks")
            self.sets[name] = jose.key_set(msgspec.json.decode(said.body))
        self.by_all.set()


def verified(token: str, keys: KeySet) -> bool:
    try:
        jose.verify(
            token, keys, algorithms=("ES256",), typ="at+jwt", issuer=ISSUER, audience=None, now=int(time.time())
        )
    except jose.InvalidToken:
        return False
    return True


def kid_of(token: str) -> str:
    head: dict[str, str] = msgspec.json.decode(from_base64url(token.partition(".")[0]))
    return head["kid"]


async def asking(node: Node, other: Node, told: Told, guard: Watch, load: Load, until: float) -> None:
    here, there = Wire(node.sockets / "auth.sock"), Wire(other.sockets / "auth.sock")
    while time.monotonic() < until:
        before = dict(told.sets)
        said = await here.ask("POST", "/token", AGENT, b"grant_type=client_credentials")
        if said.status != 200:
            load.failures[f"token: {said.status}"] += 1
            continue
        token = msgspec.json.decode(said.body, type=Given).access_token
        load.tokens += 1
        load.kids.add(kid_of(token))
        load.failures["not in a JWKS told before"] += sum(not verified(token, keys) for keys in before.values())
        load.failures["a guard"] += not verified(token, guard.current().keys)
        asked = await there.ask("POST", "/introspect", AGENT, f"token={token}".encode())
        load.failures["introspection elsewhere"] += b'"active":true' not in asked.body
        load.kept.append(token)
        await asyncio.sleep(0.02)
    here.close()
    there.close()


async def rotating(site: Site, settings: AuthSettings, until: float) -> None:
    store: PostgresStore = await connect(DatabaseSettings(url=site.url), site.ring())
    try:
        while time.monotonic() < until:
            await signing.rotate(settings, store, site.ring(), lambda: datetime.now(UTC), os.urandom, force=True)
            await asyncio.sleep(EVERY)
    finally:
        await store.close()


def under_load(site: Site, ahead: int) -> Load:
    nodes = site.two()
    settings = replace(
        compiled.auth(effective.read(nodes[0].sockets / "effective.json")), key_publish_ahead_seconds=ahead
    )
    guards = {node.name: Watch(ISSUER, address=f"unix:{node.sockets / 'auth.sock'}") for node in nodes}
    load, told = Load(), Told(nodes)

    async def run() -> None:
        until = time.monotonic() + SECONDS
        watching = asyncio.create_task(told.watch(until))
        for guard in guards.values():
            await asyncio.to_thread(guard.current)
        await asyncio.wait_for(told.by_all.wait(), 10)
        first, second = nodes
        await asyncio.gather(
            rotating(site, settings, until),
            *(asking(first, second, told, guards[second.name], load, until) for _ in range(4)),
            *(asking(second, first, told, guards[first.name], load, until) for _ in range(4)),
        )
        await watching

    try:
        asyncio.run(run())
        load.failures["gone before its last token"] += sum(
            not verified(token, keys) for token in load.kept for keys in told.sets.values()
        )
    finally:
        for guard in guards.values():
            guard.stop()
        for node in nodes:
            node.kill()
    return load


def test_keys_change_and_nobody_meets_a_token_before_its_key_or_after_it(shared_nodes_site: Site) -> None:
    load = under_load(shared_nodes_site, AHEAD)
    assert +load.failures == Counter(), load.failures
    assert load.tokens > 200
    assert len(load.kids) >= 3, load.kids
    early = steps.rows(
        shared_nodes_site,
        "SELECT kid FROM signing_keys WHERE removed_at < retired_at + interval '300 seconds' AND sealed <> ''",
    )
    assert early == []


@long_only
def test_a_key_that_signs_as_soon_as_it_is_published_is_met_too_early(nodes_site: Site) -> None:
    """The protection taken out: published no time ahead."""
    assert under_load(nodes_site, 0).failures["not in a JWKS told before"]
