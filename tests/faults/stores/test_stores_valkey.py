"""X8: Valkey killed, flushed, restarted, read-only, full, stopped, slow. What was revoked stays refused (I4), the
sign-in limit holds by the count in PostgreSQL (I3), nobody waits long (I10), and it is used again by itself (I9).
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.faults import steps
from tests.faults.stores import held
from tests.faults.stores.held import Mutant
from tests.fixtures.nodes import Node, Site
from tests.fixtures.wire import Answer
from valkey import Valkey

from bartizan.auth.attempts import PASSWORD_BY_IDENTIFIER
from bartizan.cache.connection import Line
from bartizan.protocol.refusal import Unavailable

pytestmark = pytest.mark.faults

LATEST = 2.5  # seconds that a walk of five requests may take while the cache is away, on a busy machine
HOLDS = [400] * PASSWORD_BY_IDENTIFIER.amount + [429]


@pytest.fixture(scope="module")
def node(shared_nodes_site: Site) -> Node:
    return shared_nodes_site.node("auth", "frontend").start()


@contextmanager
def cli(site: Site) -> Iterator[Any]:
    asked: Any = Valkey(unix_socket_path=site.valkey.url.removeprefix("unix://"), socket_timeout=2)
    try:
        yield asked
    finally:
        asked.close()


def limits_counted(site: Site) -> int:
    with cli(site) as asked:
        return len(asked.keys("*limit/*"))


@contextmanager
def killed(site: Site) -> Iterator[None]:
    site.valkey.kill()
    try:
        yield
    finally:
        site.valkey.start()


@contextmanager
def stopped(site: Site) -> Iterator[None]:
    os.kill(site.valkey.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(site.valkey.pid, signal.SIGCONT)


@contextmanager
def read_only(site: Site) -> Iterator[None]:
    """As a replica whose primary has gone: it answers reads and refuses writes."""
    with cli(site) as asked:
        asked.execute_command("REPLICAOF", "127.0.0.1", "1")
        try:
            yield
        finally:
            asked.execute_command("REPLICAOF", "NO", "ONE")


@contextmanager
def full(site: Site) -> Iterator[None]:
    with cli(site) as asked:
        before = asked.config_get("maxmemory")["maxmemory"]
        asked.config_set("maxmemory", "1")
        try:
            yield
        finally:
            asked.config_set("maxmemory", before)


AWAY: dict[str, Callable[[Site], AbstractContextManager[None]]] = {
    "killed": killed,
    "stopped": stopped,
    "read-only": read_only,
    "full": full,
}


@pytest.mark.parametrize("fault", AWAY)
def test_without_valkey_nothing_opens_and_nobody_waits(shared_nodes_site: Site, node: Node, fault: str) -> None:
    check_away(shared_nodes_site, node, fault)


def check_away(site: Site, node: Node, fault: str) -> None:
    one, other = steps.people(site, 2, password=True)
    _, living = steps.family(site, other)
    revoked = steps.redeem(node, steps.code_in(steps.authorize(node, one))).json()
    assert steps.revoke(node, str(revoked["refresh_token"])).status == 200
    with AWAY[fault](site):
        # I3: as many tries as ever, and then none. I10: a silent cache costs one deadline a second, not several a try.
        answers = tries_within(node, one, 2 * LATEST)
        assert [answer.status for answer in answers] == HOLDS
        assert int(answers[-1].headers["retry-after"]) > 0
        held.i4_still_refused(node, str(revoked["access_token"]), str(revoked["refresh_token"]))
        begun, walked = time.monotonic(), check_others(node, other, living)
        assert time.monotonic() - begun < LATEST
        assert walked == [303, 200, 200, 303, 303]
    counted = limits_counted(site)
    held.i9_recovers(lambda: counts_again(site, node, counted))


def tries_within(node: Node, person: steps.Person, seconds: float) -> list[Answer]:
    """Wrong passwords, one more than are allowed; all of them before the time is over."""
    answers, end = [], time.monotonic() + seconds
    for _ in HOLDS:
        answers.append(steps.sign_in(steps.Browser(node), person, "not it"))
        assert time.monotonic() < end, f"{len(answers)} tries took {seconds} s"
    return answers


def check_others(node: Node, person: steps.Person, refresh_token: str) -> list[int]:
    """Everything that is not a limit goes on: code, token, refresh, a sign-in with the right password, the BFF."""
    asked = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    code = steps.authorize(node, person)
    return [
        code.status,
        steps.redeem(node, steps.code_in(code)).status,
        steps.refreshed(node, refresh_token).status,
        steps.sign_in(steps.Browser(node), person).status,
        node.ask("GET", "/bff/login", headers=asked, at="frontend").status,
    ]


def counts_again(site: Site, node: Node, before: int) -> bool:
    stranger = f"{os.urandom(6).hex()}@example.com"
    browser = steps.Browser(node)
    browser.submit(browser.get("/signin"), "/signin", identifier=stranger, password="not it")
    return limits_counted(site) > before


@pytest.mark.parametrize("loss", ["flushed", "restarted"])
def test_an_emptied_valkey_opens_nothing(shared_nodes_site: Site, node: Node, loss: str) -> None:
    """The count begins anew and holds anew: an outage gives an attacker one more window, never an open door."""
    site = shared_nodes_site
    (one,) = steps.people(site, password=True)
    revoked = steps.redeem(node, steps.code_in(steps.authorize(node, one))).json()
    assert steps.revoke(node, str(revoked["refresh_token"])).status == 200
    assert steps.sign_in(steps.Browser(node), one, "not it").status == 400
    if loss == "flushed":
        with cli(site) as asked:
            asked.flushall()
    else:
        site.valkey.kill()
        site.valkey.start()
    held.i4_still_refused(node, str(revoked["access_token"]), str(revoked["refresh_token"]))
    assert [answer.status for answer in tries_within(node, one, 2 * LATEST)] == HOLDS


class SlowRoad:
    """A way to Valkey on which each piece takes a while."""

    def __init__(self, at: Path, to: str, seconds: float) -> None:
        self._to, self._seconds = to, seconds
        self._open: list[socket.socket] = []
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(at))
        self._door.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._door.close()
        for one in self._open:
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._door.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(self._to)
            self._open += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):  # the node gave up on it
            while data := one.recv(65536):
                time.sleep(self._seconds)  # the fault itself
                other.sendall(data)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def test_a_slow_valkey_costs_one_deadline_and_opens_nothing(shared_nodes_site: Site) -> None:
    """0.4 s there and 0.4 back is later than the 0.5 s that are waited."""
    site = shared_nodes_site
    road = site.base / "slow.sock"
    with closing(SlowRoad(road, site.valkey.url.removeprefix("unix://"), 0.4)):
        slow = site.node("auth", cache=f"unix://{road}").start()
        try:
            (one,) = steps.people(site, password=True)
            assert [answer.status for answer in tries_within(slow, one, 2 * LATEST)] == HOLDS
        finally:
            slow.kill()


def test_a_silent_line_is_asked_by_one_caller_a_second() -> None:
    now = [100.0]
    line, asked = Line(lambda: now[0]), []

    def ask(answers: bool) -> str:
        try:
            with line.told_when_away():
                asked.append(now[0])
                if not answers:
                    now[0] += 0.5
                    raise TimeoutError
            return "answered"
        except Unavailable:
            return "away"

    assert ask(answers=False) == "away"
    now[0] = 101.4
    assert ask(answers=True) == "away"
    assert asked == [100.0], "nobody is sent to a silent server"
    now[0] = 101.6
    with line.told_when_away():  # one is, and while it waits nobody else
        assert ask(answers=True) == "away"
    assert ask(answers=True) == "answered"
    with pytest.raises(Unavailable), line.told_when_away():
        raise ConnectionRefusedError
    assert ask(answers=True) == "answered", "a refusal is quick: it is asked again at once"


# The protection taken out → the check that must then fail.
MUTANTS: dict[str, tuple[Mutant, Callable[[Site, Node], None]]] = {
    "the count in PostgreSQL is not looked at": (
        held.mutant(
            "bartizan.auth.attempts", "return None if number <= one.limit.amount else one.limit.seconds", "return None"
        ),
        lambda site, node: check_away(site, node, "killed"),
    ),
    "each caller waits for a silent Valkey": (
        held.mutant("bartizan.cache.connection", "if begun < self._silent_until:", "if False:"),
        lambda site, node: check_away(site, node, "stopped"),
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_without_the_protection_the_check_fails(shared_nodes_site: Site, name: str) -> None:
    mutant, check = MUTANTS[name]
    weak = shared_nodes_site.node("auth", "frontend").start(mutant=mutant)
    try:
        with pytest.raises(AssertionError):
            check(shared_nodes_site, weak)
    finally:
        weak.kill()
