"""X16: a new key of the ring comes to two nodes one after the other, is taken back, comes again; the old one goes.

Must hold: while any node is older than another, sealed cookies, refresh tokens and sessions go on at both; when the old
key is gone, what it wrote ends cleanly: signed out, never a 500, never a wrong decryption.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace
from tests.faults import steps
from tests.faults.forms import rows
from tests.faults.steps import NAMES, Person
from tests.fixtures import ring
from tests.fixtures.nodes import Node, Site
from tests.fixtures.wire import Answer

from bartizan.auth import keys as signing
from bartizan.database.store import PostgresStore
from bartizan.frontend.seals import Held, Seals
from bartizan.frontend.seals import Person as Known
from bartizan.model.clients import Mode
from bartizan.stack import compile as compiled
from bartizan.stack import effective

pytestmark = pytest.mark.faults

CSRF = "c" * 22

MUTANTS = {
    "what was sealed under the second key is a stranger's": {
        "module": "bartizan.protocol.secrets",
        "before": "        for known, key in self.all:",
        "after": "        for known, key in self.all[:1]:",
    },
    "the BFF's secret comes of the newest key alone": {
        "module": "bartizan.auth.clients",
        "before": "for one in ring.all)",
        "after": "for one in ring.all[:1])",
    },
}


class Tab:
    """A browser at the app: its cookies, and `/bff/refresh`."""

    def __init__(self, site: Site, person: Person) -> None:
        _, token = steps.family(site, person, client="app", bff=True)
        held = Held(token, CSRF, Mode.COOKIE, Known(str(person.user.id), "Ada", person.user.email), "")
        self.sealed = Seals(site.ring()).close(held, NAMES.rt, os.urandom(12))

    def refresh(self, node: Node, sealed: str = "") -> Answer:
        headers = {
            "cookie": f"{NAMES.rt}={sealed or self.sealed}",
            "x-csrf-token": CSRF,
            "sec-fetch-site": "same-origin",
        }
        answer = node.ask("POST", "/bff/refresh", headers=headers, body=b"", at="frontend")
        for line in answer.cookies:
            name, _, value = line.partition(";")[0].partition("=")
            if name == NAMES.rt and answer.status == 200:
                self.sealed = value
        return answer


class Town:
    """Two nodes of one ring file, and what lives in it."""

    def __init__(self, site: Site, *mutant: dict[str, str]) -> None:
        self.site = site
        self.mutant = mutant
        self.nodes = [site.node("auth", "frontend") for _ in range(2)]
        for node in self.nodes:
            node.start(mutant=mutant)
        self.ring = site.data / "keys" / "ring"
        self.person = steps.people(site)[0]
        self.tab = Tab(site, self.person)
        _, self.token = steps.family(site, self.person)
        self.old = site.ring().keys[0][0]
        self.wrong: list[str] = []

    def roll(self, change: Callable[[], object], what: str) -> None:
        """The file changes, then one node after the other; between them they differ."""
        change()
        for place, node in enumerate(self.nodes):
            node.stop()
            node.start(mutant=self.mutant)
            self.go_on(f"{what}, {place + 1} of 2 restarted")

    def go_on(self, when: str) -> None:
        for node in (*self.nodes, *reversed(self.nodes)):
            seen = {
                "the BFF's cookie": self.tab.refresh(node).status,
                "a refresh token": self._refresh(node),
                "the session": steps.authorize(node, self.person).status,
                "a token of its own": steps.credentials(node).status,
            }
            self.wrong += [f"{what}: {status} ({when})" for what, status in seen.items() if status not in (200, 303)]

    def _refresh(self, node: Node) -> int:
        answer = steps.refreshed(node, self.token)
        if answer.status == 200:
            self.token = str(answer.json()["refresh_token"])
        return answer.status

    def rotate_signing_keys(self) -> None:
        """Twice: the one published ahead was sealed under the old key as well."""
        settings = compiled.auth(effective.read(self.nodes[0].sockets / "effective.json"))
        at_once = replace(settings, key_publish_ahead_seconds=0)

        async def rotate(store: PostgresStore) -> None:
            for _ in range(3):
                clock = lambda: datetime.now(UTC)  # noqa: E731 - handed in
                await signing.rotate(at_once, store, self.site.ring(), clock, os.urandom, force=True)
                await asyncio.sleep(0.05)

        steps.within(self.site, rotate)

    def close(self) -> None:
        for node in self.nodes:
            node.kill()


def through_the_overlap(town: Town) -> str:
    new = ring.add(town.ring)
    town.roll(lambda: None, "the new key is read")
    town.roll(lambda: ring.use(town.ring, new), "the new key writes")
    town.roll(lambda: ring.use(town.ring, town.old), "taken back")
    return new


def test_a_key_of_the_ring_comes_is_taken_back_and_the_old_one_goes(shared_nodes_site: Site) -> None:
    town = Town(shared_nodes_site)
    town.go_on("before")
    left_behind, old_token = Tab(shared_nodes_site, town.person), town.token
    new = through_the_overlap(town)
    town.roll(lambda: ring.use(town.ring, new), "the new key writes again")
    assert town.wrong == []
    assert asked_elsewhere(town) == 200  # a BFF that is a restart behind
    town.rotate_signing_keys()
    town.roll(lambda: ring.drop(town.ring, town.old), "the old key is gone")
    assert town.wrong == []
    for node in town.nodes:
        ended = left_behind.refresh(node)
        assert (ended.status, ended.json()["error"]) == (401, "signed_out")
        assert any(line.startswith(f"{NAMES.rt}=;") for line in ended.cookies)
        assert steps.refreshed(node, old_token).json()["error"] == "invalid_grant"
    living = steps.rows(shared_nodes_site, "SELECT FROM families WHERE ended_at IS NOT NULL")
    assert living == []  # a key that is gone proves nothing: no theft was seen in it
    town.close()


@pytest.mark.parametrize("mutant", rows(MUTANTS))
def test_without_the_protection_it_is_seen(shared_nodes_site: Site, mutant: str) -> None:
    town = Town(shared_nodes_site, MUTANTS[mutant])
    new = ring.add(town.ring)
    town.roll(lambda: None, "the new key is read")
    assert town.wrong == []
    town.roll(lambda: ring.use(town.ring, new), "the new key writes")
    found = town.wrong + ([] if asked_elsewhere(town) == 200 else ["the BFF's secret"])
    town.close()
    ring.use(town.ring, town.old)
    assert found


def asked_elsewhere(town: Town) -> int:
    """The auth server of one node, asked by a BFF that derived its secret from a key that is no longer the newest."""
    secret = steps.derived_secret(town.site, town.old, "app")
    body = b"grant_type=refresh_token&refresh_token=none"
    answer = town.nodes[0].ask("POST", "/token", headers=steps.FORM | steps.basic("app", secret), body=body)
    return 200 if answer.json()["error"] == "invalid_grant" else answer.status
