"""What a thread wants of a core, and that hashes rest while the requests want theirs."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from itertools import pairwise

import pytest

from bartizan.auth import passwords
from bartizan.auth.crowding import Demand
from bartizan.auth.passwords import PasswordPool

linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells")


def spin(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


@linux
def test_a_thread_that_runs_or_waits_to_run_wants_a_core() -> None:
    demand = Demand(threading.get_native_id())
    spin(0.2)
    assert demand.share() > 0.8, "whether it got it or not"
    time.sleep(0.2)
    assert demand.share() < 0.5


def test_where_nobody_tells_nobody_rests() -> None:
    assert Demand(0).share() == 0


@pytest.mark.parametrize(("demand", "rest"), [(0.0, 0.0), (0.4, 0.0), (0.6, 4.0), (0.8, 8.0), (1.0, 8.0)])
def test_the_more_the_requests_want_the_longer_a_hash_rests(demand: float, rest: float) -> None:
    assert passwords._rest(demand) == pytest.approx(rest)


class Says:
    def __init__(self, share: float) -> None:
        self._share = share

    def share(self) -> float:
        return self._share


def gaps(demand: float) -> list[float]:
    """Between one piece of work and the next, in times of what it took."""
    made: list[tuple[float, float, float]] = []

    def work() -> None:
        begun, spent = time.monotonic(), time.thread_time()
        spin(0.02)
        made.append((begun, time.monotonic(), time.thread_time() - spent))

    async def walk() -> None:
        pool = PasswordPool(demand=lambda thread: Says(demand))
        await asyncio.gather(*(pool._run(work) for _ in range(4)))
        pool.close()

    asyncio.run(walk())
    return [(after[0] - before[1]) / before[2] for before, after in pairwise(made)]


def test_hashes_rest_while_the_requests_want_the_core_and_else_do_not() -> None:
    assert min(gaps(1.0)) > 7.5
    assert min(gaps(0.1)) < 7.5
