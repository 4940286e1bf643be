"""Flows §7 on the real stack: more sessions end at once than can be listed, and all are refused within two seconds, at
the gateway, in the guard, at introspection and at refresh; who was not meant signs in nowhere.

In the long form alone: `BARTIZAN_MANY=25000` (or 100000) says how many; `-s` shows the figures.
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import os
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlencode, urlsplit

import pytest
from tests.browser.wire import Answer
from tests.faults.crash.visitors import Visitor
from tests.fixtures.many import crowd
from tests.fixtures.stack import Stack
from tests.fixtures.wire import line as over

from bartizan.database.place import forget
from bartizan.protocol.secrets import client_secret
from bartizan.stack import compile as compiled
from bartizan.stack import ending
from bartizan.stack.instance import opened
from bartizan.stack.operations import Row

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif("BARTIZAN_MANY" not in os.environ, reason="in the long form: BARTIZAN_MANY=25000"),
]

MANY = int(os.environ.get("BARTIZAN_MANY", "25000"))
LIVING, ENDED = 50, 10
WITHIN = 2.0
_HOPS = 12


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("many") / "data", "--demo")
    try:
        yield stack.start()
    finally:
        stack.stop()
        forget(stack.data)


class Browsers(list[Visitor]):
    """Several of one person: she gives her password once, the others come in by her sign-on session."""

    def __init__(self, stack: Stack, email: str, number: int) -> None:
        first = Visitor(stack, email, stack.site().people[email])
        assert first.sign_in().status == 200
        super().__init__([first])
        while len(self) < number:
            other = Visitor(stack, email, "")
            other._jars[other.id] = first._jars[first.id]
            assert other.sign_in().status == 200
            self.append(other)

    def tokens(self) -> list[str]:
        return [one.at_app[one.names.at] for one in self]


class Asker:
    """Asks one thing all the time, and keeps when it last was let pass."""

    def __init__(self, asks: Callable[[], bool]) -> None:
        self.passed_at = time.monotonic()
        self.refused = threading.Event()
        self.asked_in_vain = 0
        self._asks = asks
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._end.wait(0.01):
            if self._asks():
                self.passed_at = time.monotonic()
                self.refused.clear()
            else:
                self.asked_in_vain += 1
                self.refused.set()

    def stop(self) -> None:
        self._end.set()
        self._thread.join()


class Doors:
    """The four of flows §7, each asked for every browser of the ended in turn."""

    def __init__(self, stack: Stack, victims: Browsers, secret: str) -> None:
        self._stack, self._victims = stack, victims
        self._tokens = victims.tokens()
        self._basic = base64.b64encode(f"{_bff(stack)}:{secret}".encode()).decode()
        self._resource = str(stack.server("resource")["address"])

    def gateway(self) -> bool:
        return any(one.call("GET", "/api/whoami").status == 200 for one in self._victims)

    def guard(self) -> bool:
        """Past the gateway, at the app itself."""
        return any(self._guarded(token) for token in self._tokens)

    def _guarded(self, token: str) -> bool:
        if self._resource.startswith("unix:"):
            line: http.client.HTTPConnection = over(self._resource.removeprefix("unix:"), 5)
        else:
            at = urlsplit(self._resource)
            line = http.client.HTTPConnection(at.hostname or "127.0.0.1", at.port, timeout=5)
        try:
            line.request("GET", "/api/whoami", headers={"Authorization": f"Bearer {token}", "Host": "app.localhost"})
            return line.getresponse().status == 200
        finally:
            line.close()

    def introspection(self) -> bool:
        return any(b'"active":true' in self._introspected(token).body for token in self._tokens)

    def _introspected(self, token: str) -> Answer:
        headers = {"authorization": f"Basic {self._basic}", "content-type": "application/x-www-form-urlencoded"}
        one = self._victims[0]
        return one.ask("POST", f"{one.id}/introspect", headers=headers, body=urlencode({"token": token}).encode())

    def refresh(self) -> bool:
        return any(one.call("POST", "/bff/refresh").status == 200 for one in self._victims[-2:])


def _bff(stack: Stack) -> str:
    return next(str(row["id"]) for row in _cli(stack, "client", "list") if row["kind"] == "browser")


def _cli(stack: Stack, *words: str) -> list[dict[str, object]]:
    rows = stack.site().cli(*words)["rows"]
    assert isinstance(rows, list)
    return rows


def _in_instance(stack: Stack, client_id: str, email: str) -> tuple[Row, float, float]:
    """Seeds, ends, and says when the ending began and was committed."""

    async def run() -> tuple[Row, float, float]:
        async with opened(stack.data, None) as instance:
            await crowd(compiled.database(instance.at).url, MANY, client_id=client_id)
            begun = time.monotonic()
            done = await ending.end_all(instance, ending.Wish(but=email))
            return done, begun, time.monotonic()

    return asyncio.run(run())


def _secret(stack: Stack, client_id: str) -> str:
    async def run() -> str:
        async with opened(stack.data, None) as instance:
            return client_secret(instance.ring.purpose("client"), client_id)

    return asyncio.run(run())


def _follow(one: Visitor, path: str) -> tuple[Answer, list[str]]:
    """As a browser does, at the app: where it came through."""
    url = f"{one.app}{path}"
    way: list[str] = []
    for _ in range(_HOPS):
        answer = one.navigate(url)
        location = answer.header("location")
        if location is None:
            return answer, way
        way.append(urlsplit(location).path)
        if "://" in location and not location.startswith(one.app):
            return answer, way
        url = location if "://" in location else f"{one.app}{location}"
    raise AssertionError(f"a loop: {way}")


def test_all_are_refused_within_two_seconds_and_nobody_else_is_signed_out(own: Stack) -> None:
    alice, bob = "alice@example.com", "bob@example.com"
    living, ended = Browsers(own, alice, LIVING), Browsers(own, bob, ENDED)
    for one in living[:5]:  # renewed a moment before, so that the renewal that follows may look like a loop
        del one.at_app[one.names.at]
        assert _follow(one, "/api/whoami")[0].status == 200
    client_id = _bff(own)
    doors = Doors(own, ended, _secret(own, client_id))
    asks = {name: getattr(doors, name) for name in ("gateway", "guard", "introspection", "refresh")}
    assert all(ask() for ask in asks.values()), "before, all pass"
    before = {row["name"]: row["pss_bytes"] for row in own.status()["processes"]}
    doors._tokens = ended.tokens()  # of the refresh that was just asked for
    askers = {name: Asker(ask) for name, ask in asks.items() if name != "refresh"}
    try:
        done, begun, committed = _in_instance(own, client_id, alice)
        assert not doors.refresh(), "at once"
        end = committed + 3 * WITHIN
        while time.monotonic() < end and not all(
            asker.refused.is_set() and asker.asked_in_vain > 3 for asker in askers.values()
        ):
            time.sleep(0.02)
    finally:
        for asker in askers.values():
            asker.stop()
    lag = {name: max(0.0, asker.passed_at - committed) for name, asker in askers.items()}
    after = {row["name"]: row["pss_bytes"] for row in own.status()["processes"]}
    print(
        f"\n{MANY} and {ENDED}: {committed - begun:.2f} s; lag {lag}; agent {before['agent']} → {after['agent']} bytes"
    )
    assert done["new_signing_key"] is True
    assert int(done["access_ended"]) >= MANY + ENDED
    assert all(asker.asked_in_vain > 3 for asker in askers.values()), "each was asked to the end"
    assert max(lag.values()) < WITHIN
    for one in living:
        answer, way = _follow(one, "/api/whoami")
        assert answer.status == 200, (way, answer.body[:300])
        assert "/bff/renew" in way, "its key has gone"
        assert "/bff/login" not in way, "nobody signs in again"
    for one in ended:
        answer, way = _follow(one, "/api/whoami")
        assert way[-1] == "/authorize", way
        there = one.navigate(str(answer.header("location")), "cross-site")
        assert urlsplit(str(there.header("location"))).path == "/signin", "a password is asked for"
    states = [str(row["state"]) for row in _cli(own, "key", "list")]
    assert sorted(states) == ["next", "signs"]
