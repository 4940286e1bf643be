"""X3: gateway and BFF are killed in the middle of proxied requests and callbacks, on the real stack (I5, I10)."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from tests.browser.at_rest import AtRest
from tests.faults.crash.visitors import Busy, Visitor
from tests.faults.forms import LONG
from tests.fixtures.stack import Stack

pytestmark = pytest.mark.faults

KILLS = ("gateway", "frontend") * (10 if LONG else 2)
_BETWEEN = 0.6  # seconds in which all work again
_PAUSE = 0.6 if LONG else 0.1  # of who reads and writes: the demo takes 120 photos a minute from one person


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("hurt") / "data", "--demo")
    try:
        yield stack.start()
    finally:
        stack.stop()


def test_killed_in_the_middle_nobody_loses_and_nothing_is_done_twice(own: Stack) -> None:
    email, password = next(iter(own.site().people.items()))
    worker, comer = Visitor(own, email, password), Visitor(own, email, password)  # two browsers of hers
    assert worker.sign_in().status == 200
    assert comer.sign_in().status == 200
    busy = [Busy(worker).reading_and_writing("kept", _PAUSE), Busy(comer).signing_in()]
    try:
        for server in KILLS:
            time.sleep(_BETWEEN)
            _kill(own, server)
        time.sleep(_BETWEEN)
    finally:
        for one in busy:
            one.stop()
    _assert_written_once(busy[0])
    _assert_signed_in_cleanly(own, busy[1])


def _kill(stack: Stack, server: str) -> None:
    """By the pids that its status names; up again within the ten seconds of I9."""
    pids = stack.server(server)["pids"]
    victim = max(pids) if server == "gateway" else pids[0]
    os.kill(victim, signal.SIGKILL)
    end = time.monotonic() + 10
    while True:
        row = stack.server(server)
        if row["ready"] and row["pids"] and victim not in row["pids"]:
            return
        assert time.monotonic() < end, f"I9: {server} is not back:\n{stack.output}\n{stack.logs()}"
        time.sleep(0.02)


def _assert_written_once(busy: Busy) -> None:
    seen = Counter(busy.read) + Counter(busy.wrote.values())
    assert seen[200] > 10, f"no load: {seen}"
    assert seen[0] + seen[503] > 0, f"nothing was hurt: {seen}"
    assert set(seen) <= {0, 200, 201, 503}, f"I10: {seen}"
    assert busy.visitor.is_in(), "I10: her session did not outlive the kills"
    listed = busy.visitor.call("GET", "/api/photos").json()["photos"]
    assert isinstance(listed, list)
    titles = Counter(photo["title"] for photo in listed)
    for title, status in busy.wrote.items():
        if status == 201:
            assert titles[title] == 1, f"I1, I5: {title} is there {titles[title]} times"
        else:
            assert titles[title] <= 1, f"I5: {title}, answered {status}, is there {titles[title]} times"


def _assert_signed_in_cleanly(stack: Stack, busy: Busy) -> None:
    """Each sign-in came to its end or to a clean no; no code bought twice; the next sign-in works."""
    seen = Counter(busy.signed_in)
    assert seen[200] > 3, f"no load: {seen}"
    assert set(seen) <= {0, 200, 400, 503}, f"I10: {seen}"
    assert busy.visitor.sign_in().status == 200, "I9"
    assert busy.visitor.is_in(), "I10"
    rest = AtRest(stack.data)
    spent = rest.count("SELECT count(*) FROM codes WHERE spent_at IS NOT NULL")
    bought = rest.count("SELECT count(*) FROM families JOIN codes ON codes.family_id = families.id")
    noted = rest.count("SELECT count(*) FROM events JOIN codes ON codes.family_id = gid WHERE code = 'token.issued'")
    assert spent == bought == noted, f"I2, I7: {spent} codes, {bought} families, {noted} events"
    assert bought >= seen[200]
