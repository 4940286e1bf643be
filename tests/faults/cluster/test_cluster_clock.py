"""X9: machines whose clocks are ten minutes off, or jump while they run. Ours go by the database's (database/clock.py).

Must hold: a code lives its minute whoever made it, and none that is over revives; `iat` and `exp` are true; what one
node issues every other honours; ids stay unique; one key signs. What the user's own app decides (the guard) goes by its
machine's clock, with five seconds to spare.
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.faults import steps
from tests.fixtures.nodes import Node, Site

from bartizan.auth.keys import SigningKeys
from bartizan.database.store import PostgresStore
from bartizan.protocol import jose
from bartizan.protocol.oauth import access
from bartizan.stack import compile as compiled
from bartizan.stack import effective

_FOUND = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not _FOUND, reason="needs libfaketime (Debian: faketime)"),
]

MACHINES_CLOCK = {
    "module": "bartizan.stack.parts",
    "before": "clock=store.clock,",
    "after": "clock=lambda: datetime.now(__import__('datetime').UTC),",
}


class Machine:
    """A node whose clock is what its file says: "+10m", "-10m"."""

    def __init__(self, site: Site, offset: str, *mutant: dict[str, str]) -> None:
        self._file = site.base / f"clock-{len(site.nodes)}"
        self.set(offset)
        environment = {
            "LD_PRELOAD": str(_FOUND[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # the kernel's counting clocks do not jump when the date is set
        }
        self.node = site.node().start(environment=environment, mutant=mutant, wait=False)

    def set(self, offset: str) -> None:
        self._file.write_text(offset)


def machines(site: Site, *offsets: str, mutant: tuple[dict[str, str], ...] = ()) -> list[Machine]:
    made = [Machine(site, offset, *mutant) for offset in offsets]
    for one in made:
        one.node.wait_ready()
    return made


@pytest.fixture
def site(shared_nodes_site: Site) -> Iterator[Site]:
    yield shared_nodes_site
    for node in shared_nodes_site.nodes:
        if node.living:
            node.kill()


def part(token: str, number: int) -> dict[str, Any]:
    text = token.split(".")[number]
    read: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return read


def is_true(token: str) -> bool:
    """Its times are today's: of this test, whose clock is the database's."""
    claims = part(token, 1)
    return bool(abs(claims["iat"] - time.time()) < 5 and 200 < claims["exp"] - time.time() < 305)


def honoured(nodes: list[Node], token: str) -> bool:
    return honoured_by_asking(nodes, token) and all(steps.userinfo(node, token).status == 200 for node in nodes)


def signed(site: Site, seconds: int) -> str:
    """An access token of a living family, by our own key, that expires in so many seconds."""
    settings = compiled.auth(effective.read(site.nodes[-1].sockets / "effective.json"))
    person = steps.people(site)[0]
    family, _ = steps.family(site, person)
    now = int(time.time())
    token = access.AccessToken(
        issuer=settings.issuer,
        subject=str(person.user.id),
        audience=family.audience,
        client_id="shop",
        scopes=("openid", "photos.read"),
        issued_at=now + seconds - 300,
        expires_at=now + seconds,
        jti=str(family.id),
        gid=str(family.id),
        auth_time=now - 300,
        csrf=None,
    )

    async def sign(store: PostgresStore) -> str:
        keys = SigningKeys(settings, store, site.ring(), lambda: datetime.now(UTC), os.urandom)
        return (await keys.signer()).sign(access.claims(token), access.TYP)

    return steps.within(site, sign)


def lived(site: Site, mutant: tuple[dict[str, str], ...] = ()) -> list[str]:
    """What is wrong on three machines: one ten minutes ahead, one behind, one that jumps back while it runs."""
    made = machines(site, "+10m", "-10m", "+10m", mutant=mutant)
    nodes = [one.node for one in made]
    wrong = []
    for moment in ("before the jump", "after it"):
        for issuing in nodes:
            for redeeming in nodes:
                wrong += [f"{what} {moment}" for what in grant_to_end(site, issuing, redeeming, nodes)]
        wrong += [f"{what} {moment}" for what in own_tokens(site, nodes)]
        made[2].set("-10m")
        time.sleep(0.1)
    return wrong + ["a code revives"] * revives(site, nodes)


def grant_to_end(site: Site, issuing: Node, redeeming: Node, nodes: list[Node]) -> list[str]:
    """A code of one node, bought at another, refreshed at the first, asked about at all: what does not hold."""
    person = steps.people(site)[0]
    code = steps.code_in(steps.authorize(issuing, person))
    row = steps.rows(site, "SELECT expires_at FROM codes WHERE user_id = $1", person.user.id)[0]
    left = row["expires_at"] - datetime.now(UTC)
    wrong = [] if timedelta(seconds=50) < left <= timedelta(seconds=61) else ["a code's minute"]
    bought = steps.redeem(redeeming, code)
    if bought.status != 200:
        return [*wrong, "redeeming"]
    again = steps.refreshed(issuing, str(bought.json()["refresh_token"]))
    if again.status != 200:
        return [*wrong, "refreshing"]
    for given in (bought, again):
        token = str(given.json()["access_token"])
        wrong += [] if is_true(token) else ["iat and exp"]
        wrong += [] if honoured(nodes, token) else ["introspection or userinfo"]
    return wrong


def own_tokens(site: Site, nodes: list[Node]) -> list[str]:
    """The clients' own, and two that we date ourselves."""
    own = [str(steps.credentials(node).json()["access_token"]) for node in nodes]
    holds = {
        "a client's own token": all(is_true(token) and honoured_by_asking(nodes, token) for token in own),
        "one key signs": len({part(token, 0)["kid"] for token in own}) == 1,
        "jti unique": len({part(token, 1)["jti"] for token in own}) == len(own),
        "expired is expired": not any_active(nodes, signed(site, -10)),
        "living is living": honoured_by_asking(nodes, signed(site, 20)),
    }
    return [what for what, held in holds.items() if not held]


def honoured_by_asking(nodes: list[Node], token: str) -> bool:
    return all(steps.introspect(node, token).json()["active"] for node in nodes)


def any_active(nodes: list[Node], token: str) -> bool:
    return any(steps.introspect(node, token).json()["active"] for node in nodes)


def revives(site: Site, nodes: list[Node]) -> bool:
    """A code that is over by the database's clock, at each node."""
    person = steps.people(site)[0]
    code = steps.code_in(steps.authorize(nodes[0], person))
    steps.rows(site, "UPDATE codes SET expires_at = now() - interval '1 second' WHERE user_id = $1", person.user.id)
    return any(steps.redeem(node, code).status == 200 for node in nodes)


def test_clocks_that_are_off_or_jump_change_nothing(site: Site) -> None:
    assert lived(site) == []
    doubled = steps.rows(site, "SELECT id FROM events GROUP BY id HAVING count(*) > 1")
    assert doubled == []


def test_by_the_machines_clocks_it_would_break(site: Site) -> None:
    found = lived(site, (MACHINES_CLOCK,))
    assert any("minute" in one for one in found), found
    assert any("introspection" in one for one in found), found


def test_a_sign_in_on_a_machine_ahead_is_a_session_on_one_behind(site: Site) -> None:
    ahead, behind = machines(site, "+10m", "-10m")
    person = steps.people(site, password=True)[0]
    browser = steps.Browser(ahead.node)
    assert steps.sign_in(browser, person).status == 303
    browser.node = behind.node
    assert browser.get("/account").status == 200
    session = steps.rows(site, "SELECT created_at FROM sessions WHERE user_id = $1 AND device <> 'x'", person.user.id)
    assert all(abs((row["created_at"] - datetime.now(UTC)).total_seconds()) < 30 for row in session)


def test_the_feed_is_young_whatever_the_clock(site: Site) -> None:
    for machine in machines(site, "+10m", "-10m"):
        answer = machine.node.ask("GET", "/.well-known/bartizan/ended")
        assert abs(part(answer.body.decode(), 1)["iat"] - time.time()) < 3
        keys = jose.key_set(json.loads(machine.node.ask("GET", "/jwks").body))
        assert part(answer.body.decode(), 0)["kid"] in keys.by_kid


def test_a_node_that_has_not_yet_spoken_to_the_database_issues_nothing(nodes_site: Site) -> None:
    """So that the machine's clock, which does until then, decides nothing."""
    nodes_site.node().start().kill()
    nodes_site.postgres.stop()
    alone = nodes_site.node().start(wait=False)
    until = time.monotonic() + 20
    while (answer := steps.credentials(alone)).status == 0:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert answer.status == 503
