"""F§7: a signing key that leaked is withdrawn at the real auth app; guard and gateway agent follow by the next feed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.gateway.conftest import TEMPLATE
from tests.unit.auth.house import APP, ISSUER, RING, SETTINGS, House
from tests.unit.web.calling import calling

from bartizan.auth import keys as auth_keys
from bartizan.auth.endpoints import ended
from bartizan.gateway.agent import Agent
from bartizan.gateway.compiler import published
from bartizan.gateway.issuer import Issuer
from bartizan.guard.gate import Gate
from bartizan.guard.keys import Watch
from bartizan.guard.policy import GuardRequest, Resource, RoutePolicy, Who
from bartizan.protocol.refusal import Refused

ROUTE = RoutePolicy(who=Who.SIGNED_IN)


class Swapped:
    """The auth app, with both of its readers. The readers' polls happen when the test says so."""

    def __init__(self, house: House, config_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.house = house
        self.asked: list[str] = []
        monkeypatch.setattr(Watch, "_run", lambda watch, stop: None)
        monkeypatch.setattr(Issuer, "_get", lambda issuer, path, timeout: self.fetch(path, timeout))
        monkeypatch.setattr(ended, "LONGEST_WAIT", 0.3)
        self.settings = replace(
            TEMPLATE,
            app_origin=APP,
            id_origin=ISSUER,
            files_origin="http://files.localhost:8080",
            config_dir=config_dir,
        )
        self.guard = Watch(ISSUER, fetch=self.fetch, clock=self.now)
        self.agent = Agent(self.settings)
        self.agent._watch._clock = self.now
        self.gate = Gate(Resource(issuer=ISSUER, audience=APP, app_origin=APP), self.guard, clock=self.now)
        config_dir.mkdir()

    def now(self) -> float:
        return self.house.clock().timestamp()

    def fetch(self, path: str, timeout: float) -> bytes:
        self.asked.append(path)
        answer = self.house.loop.run_until_complete(calling(self.house.app, "GET", path))
        assert answer.status == 200, answer.text
        return answer.body

    def poll(self) -> None:
        self.guard.poll()
        self.agent._watch.poll()
        asyncio.run(self.agent.look())

    def current(self) -> str:
        (kid,) = [key.kid for key in self.house.tables.keys.values() if key.removed_at is None]
        return kid

    def token(self) -> str:
        """A new access token of the house."""
        return str(self.house.tokens()["access_token"])

    def withdraw(self, kid: str) -> None:
        house = self.house
        gone = auth_keys.withdraw(SETTINGS, house.ports.store, RING, house.clock, house.ports.chance, kid)
        assert house.loop.run_until_complete(gone)
        house.later(auth_keys.REFRESH_SECONDS)

    def published_to_envoy(self) -> list[str]:
        file: Any = json.loads((self.settings.config_dir / published.JWT_FILE).read_bytes())
        (resource,) = file["resources"]
        inline = resource["typed_config"]["providers"][published.PROVIDER]["local_jwks"]["inline_string"]
        return [key["kid"] for key in json.loads(inline)["keys"]]


@pytest.fixture
def swapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Swapped]:
    with House() as house:
        made = Swapped(house, tmp_path / "config", monkeypatch)
        made.guard.current()
        asyncio.run(made.agent.look())
        yield made


def admitted(swapped: Swapped, token: str) -> bool:
    try:
        swapped.gate.admit(ROUTE, GuardRequest(method="GET", authorization=(f"Bearer {token}",)))
    except Refused:
        return False
    return True


def test_the_next_feed_swaps_the_key_at_guard_and_gateway(swapped: Swapped) -> None:
    swapped.poll()
    old, kid = swapped.token(), swapped.current()
    assert admitted(swapped, old)
    swapped.guard.refetched()  # a stranger's unknown kid: it must not delay what follows
    swapped.withdraw(kid)
    swapped.poll()
    assert not admitted(swapped, old)
    assert admitted(swapped, swapped.token())
    assert swapped.published_to_envoy() == [swapped.current()] != [kid]


def test_a_key_that_did_not_sign_the_feed_is_dropped_too(swapped: Swapped) -> None:
    house, first = swapped.house, swapped.current()
    rotation = auth_keys.rotate(SETTINGS, house.ports.store, RING, house.clock, house.ports.chance, force=True)
    assert house.loop.run_until_complete(rotation).add
    house.later(auth_keys.REFRESH_SECONDS)
    swapped.poll()
    both = set(swapped.published_to_envoy())
    assert (first in both, len(both)) == (True, 2)
    (waiting,) = both - {first}
    swapped.withdraw(waiting)
    swapped.poll()
    assert swapped.published_to_envoy() == [first]
    assert set(swapped.guard.current().keys.by_kid) == {first}


def test_a_change_between_two_polls_is_told_at_once(swapped: Swapped, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader was away, another made the server see the change: nobody waits until the end of a poll for it."""
    swapped.poll()
    swapped.withdraw(swapped.current())
    swapped.house.call("GET", "/jwks")
    monkeypatch.setattr(ended, "LONGEST_WAIT", 30)
    swapped.asked.clear()
    began = swapped.house.loop.time()
    swapped.guard.poll()
    assert swapped.house.loop.time() - began < 2
    assert [path.partition("?")[0] for path in swapped.asked] == ["/.well-known/bartizan/ended", "/jwks"]


def test_an_issuer_that_never_publishes_the_key_is_not_pressed(swapped: Swapped) -> None:
    seconds = iter(tick / 10 for tick in range(1000))
    swapped.guard._monotonic = lambda: next(seconds)
    asked = [swapped.guard._may_ask("never published") for _ in range(200)]  # 20 seconds
    assert asked[0]
    assert sum(asked) <= 8
    assert swapped.guard._may_ask("another"), "at once"
