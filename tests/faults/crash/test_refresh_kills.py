"""X2: killed between the rotation's commit and the reply, 64 chains under way: nobody is logged out (I1, I2, I10)."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable, Sequence
from functools import partial

import pytest
from tests.faults import steps
from tests.faults.crash.app_browser import AppBrowser
from tests.faults.crash.bench import Bench
from tests.faults.crash.chains import BrowserChain, Client, Load, TokenChain
from tests.faults.forms import LONG
from tests.fixtures.nodes import Node

pytestmark = pytest.mark.faults

SEED = int(os.environ.get("BARTIZAN_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)

CHAINS, BROWSERS = 64, 16
# Where a node dies under load; "" is kill -9 from outside, at whatever it does.
DEATHS = ("rotations.rotated_many", "coalesce.batch", "rotations.rotating", "answer.sending", "")
BFF_DEATHS = ("bff.rotated", "rotations.rotated_many", "")


def test_chains_go_on_over_kills(bench: Bench) -> None:
    chains = planted(bench, CHAINS)
    load = hurt(bench, chains, DEATHS)
    assert load.lost, "no client ever lost an answer: nothing was hurt"
    assert_nobody_is_out(bench, chains, load)


def planted(bench: Bench, number: int) -> list[TokenChain]:
    made = [steps.family(bench.site, person) for person in steps.people(bench.site, number)]
    return [TokenChain(family.id, token) for family, token in made]


def assert_nobody_is_out(bench: Bench, chains: Sequence[TokenChain], load: Load) -> None:
    assert load.over == [], f"I10: logged out, seed {SEED}"
    ids = [chain.family_id for chain in chains]
    rows = steps.rows(bench.site, "SELECT id, generation, ended_at FROM families WHERE id = ANY ($1)", ids)
    found = {row["id"]: row for row in rows}
    for chain in chains:
        row = found[chain.family_id]
        held = [number for number in (row["generation"] - 1, row["generation"]) if number > 0]
        assert row["ended_at"] is None, f"I10: ended, seed {SEED}"
        assert chain.token in [steps.token_of(bench.site, chain.family_id, number) for number in held], (
            f"I1, I2: the row is at {row['generation']}, the client has another, seed {SEED}"
        )
        assert steps.refreshed(bench.node, chain.token).status == 200, f"I10, seed {SEED}"
    for code in ("refresh.theft", "refresh.contended", "database.went_back"):
        assert bench.count("SELECT count(*) FROM events WHERE code = $1 AND gid = ANY ($2)", code, ids) == 0, code


def test_browsers_keep_their_jars_over_kills(bench: Bench) -> None:
    chains = [BrowserChain(AppBrowser(person).sign_in(bench.node)) for person in steps.people(bench.site, BROWSERS)]
    load = hurt(bench, chains, BFF_DEATHS)
    assert load.lost, "no browser ever lost an answer: nothing was hurt"
    assert load.over == [], f"I10: signed out, seed {SEED}"
    for chain in chains:
        assert chain.browser.session(bench.node)["signed_in"] is True, f"I10, seed {SEED}"
        assert chain.browser.keep(chain.browser.posted("/bff/refresh").to(bench.node)).status == 200
    sessions = [chain.browser.person.session.id for chain in chains]
    living = "SELECT count(*) FROM families WHERE session_id = ANY ($1) AND ended_at IS NULL"
    assert bench.count(living, sessions) == BROWSERS, "I2: one family a browser"


def hurt(bench: Bench, clients: Sequence[Client], deaths: Sequence[str]) -> Load:
    """Each death once (long: ten times), with time between them in which every client gets on."""
    print(f"seed {SEED}")
    load = Load(clients, bench.nodes)
    asyncio.run(_hurting(bench, load, clients, [*deaths] * (10 if LONG else 1)))
    return load


async def _hurting(bench: Bench, load: Load, clients: Sequence[Client], deaths: Sequence[str]) -> None:
    chance, over = random.Random(SEED), asyncio.Event()
    running = asyncio.create_task(load.run(over))
    try:
        for death in deaths:
            await _all_get_on(clients)
            node = bench.node
            if death:
                bench.arm(f"{death}=kill@{chance.randrange(1, 20)}")
            else:
                await asyncio.sleep(chance.random() / 5)
                node.kill()
            await _until(partial(_dead, node), f"not killed at {death}")
            assert node.wait() == -9
            await asyncio.to_thread(bench.change_over)
        await _all_get_on(clients)
    finally:
        over.set()
        await running


async def _all_get_on(clients: Sequence[Client]) -> None:
    before = [client.rounds for client in clients]
    await _until(partial(_ahead, clients, before), "I9: a client does not get on")


def _ahead(clients: Sequence[Client], before: Sequence[int]) -> bool:
    return all(client.rounds >= rounds + 2 for client, rounds in zip(clients, before, strict=True))


def _dead(node: Node) -> bool:
    return not node.living


async def _until(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end, f"{what}, seed {SEED}"
        await asyncio.sleep(0.01)


def test_a_late_retry_is_honoured_and_counted(bench: Bench) -> None:
    late_retry_is_counted(bench)


def late_retry_is_counted(bench: Bench) -> None:
    """Flows §6: an answer that was lost for longer than the grace is given again, and the row counts it."""
    made, token = steps.family(bench.site, steps.people(bench.site)[0])
    first = steps.refreshed(bench.node, token)
    steps.age(bench.site, made.id)
    late = steps.refreshed(bench.node, token)
    assert late.status == 200
    assert late.json()["refresh_token"] == first.json()["refresh_token"], "I2: one successor"
    assert bench.count("SELECT late_count FROM families WHERE id = $1", made.id) == 1, "I2: a late retry is counted"
