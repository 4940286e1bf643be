"""Design §1, N auth workers: both serve, and kill -9 of one loses at most what was under way at it."""

from __future__ import annotations

import http.client
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.browser.wire import send
from tests.fixtures.stack import Stack
from tests.fixtures.waiting import until

pytestmark = pytest.mark.stack

CALLERS = 8
_COUNTED = re.compile(r'^bartizan_requests_total\{.*route="/jwks".*\} (\d+)', re.MULTILINE)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("two") / "data", "--demo", "--workers", "2")
    try:
        yield stack.start()
    finally:
        stack.stop()


def process(stack: Stack, name: str) -> dict[str, object]:
    return next(row for row in stack.status()["processes"] if row["name"] == name)


def served(stack: Stack, name: str) -> int:
    """How many key sets this worker has given, by its own count."""
    sockets = stack.server("auth")["address"].split(", ")[0].removeprefix("unix:").rpartition("/")[0]
    said = send("GET", "http://status/metrics", unix=f"{sockets}/status-{name}.sock")
    return sum(int(number) for number in _COUNTED.findall(said.body.decode()))


class Callers:
    """Each over a connection that it keeps, one request after the other."""

    def __init__(self, port: int) -> None:
        self.seen: list[int] = []  # statuses; 0: cut
        self._port = port
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(CALLERS)]

    def _run(self) -> None:
        line = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        while not self._end.is_set():
            try:
                line.request("GET", "/jwks", headers={"Host": f"id.localhost:{self._port}"})
                answer = line.getresponse()
                answer.read()
                self.seen.append(answer.status)
            except (OSError, http.client.HTTPException):
                line.close()
                self.seen.append(0)
            self._end.wait(0.002)
        line.close()

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def ask(self, more: int) -> None:
        """Until so many more answers have come."""
        enough = len(self.seen) + more
        until(lambda: len(self.seen) >= enough, otherwise=f"no {more} answers")


def back(stack: Stack, name: str, pid: object, seconds: float) -> float:
    """How long until another process of this name is ready."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        row = process(stack, name)
        if row["state"] == "ready" and row["pid"] != pid:
            return time.monotonic() - begun
        time.sleep(0.02)
    raise AssertionError(f"{name} is not back after {seconds} s:\n{stack.logs()}")


@pytest.mark.parametrize("victim", ["web", "web-2"])
def test_one_of_two_workers_is_killed_and_the_other_goes_on(two: Stack, victim: str) -> None:
    pid = process(two, victim)["pid"]
    assert isinstance(pid, int)
    slack = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    with Callers(two.port) as callers:
        callers.ask(100)
        before = len(callers.seen)
        assert set(callers.seen) == {200}, "nothing was hurt yet"
        os.kill(pid, signal.SIGKILL)
        took = back(two, victim, pid, 10.0)
        again = served(two, victim)
        until(lambda: served(two, victim) > again, otherwise="it does not serve again")
        callers.ask(100)
        after = callers.seen[before:]
    failed = [status for status in after if status != 200]
    assert len(failed) <= CALLERS, failed
    assert took <= 2.0 * slack, took


def test_both_serve_alike_and_are_named(two: Stack) -> None:
    names = ("web", "web-2")
    before = {name: served(two, name) for name in names}
    with Callers(two.port) as callers:
        callers.ask(400)
    shares = {name: served(two, name) - before[name] for name in names}
    assert min(shares.values()) > 0.3 * sum(shares.values()), shares
    status = two.status()
    pids = {process(two, name)["pid"] for name in names}
    for server in ("auth", "frontend", "files"):
        row = two.server(server)
        assert set(row["pids"]) == pids
        assert row["address"].count("unix:") == 2
        assert row["ready"]
    assert {row["name"] for row in status["processes"]} >= {*names, "work", "agent", "envoy", "database", "cache"}


def test_what_our_processes_make_is_nobody_elses_business(two: Stack) -> None:
    """Inside directories of 0700, and yet: a backup or a copy may leave those behind."""
    sockets = Path(two.server("auth")["address"].split(", ")[0].removeprefix("unix:")).parent
    made = [*sockets.iterdir(), *(path for name in ("demo", "files", "mail") for path in (two.data / name).rglob("*"))]
    assert len(made) > 10
    open_to_others = {str(path): oct(path.lstat().st_mode) for path in made if path.lstat().st_mode & 0o077}
    assert open_to_others == {}
