"""Two nodes over one database: one is hurt, the client goes on at the other while the hurt one starts again.

`Deed`: one request of somebody, and how often it has taken effect, counted in rows. The invariants that every break
must leave whole are asserted here, in one place, by their names in security-requirements §6.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import valkey
from msgspec import Struct
from tests.faults import steps
from tests.faults.crash.wire import Sent, cut_answer
from tests.faults.steps import Person
from tests.fixtures.nodes import HOOK, Node, Site
from tests.fixtures.wire import Answer

Mutant = tuple[dict[str, str], ...]


class Bench:
    def __init__(self, site: Site, *servers: str, nodes: int = 2, more: str = "") -> None:
        self.site = site
        self.nodes = [site.node(*servers, more=more) for _ in range(nodes)]

    @property
    def node(self) -> Node:
        """The one that is asked."""
        return self.nodes[0]

    def start(self, mutant: Mutant = ()) -> Bench:
        for node in self.nodes:
            self._begin(node, mutant)
        for node in self.nodes:
            node.wait_ready()
        return self

    def mended(self) -> Bench:
        """For the next test, whatever the last one left: nothing armed, all alive."""
        for node in self.nodes:
            _plan(node).unlink(missing_ok=True)
            if not node.living:
                self._begin(node)
        for node in self.nodes:
            node.wait_ready()
        self.forget_tries()
        return self

    def forget_tries(self) -> None:
        """Here one address signs in and asks for mails as often as a town."""
        with valkey.Valkey.from_url(self.site.valkey.url) as cache:
            cache.flushdb()

    def stop(self) -> None:
        for node in self.nodes:
            if node.living:
                node.kill()

    def _begin(self, node: Node, mutant: Mutant = ()) -> None:
        path = os.pathsep.join([str(HOOK), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {
            "PYTHONPATH": path,
            "BARTIZAN_FAILPOINT_FILE": str(_plan(node)),
            "BARTIZAN_FAILPOINTS_PASSED": str(_passed(node)),
        }
        if mutant:
            file = node.sockets / "mutant"
            file.write_bytes(msgspec.json.encode(mutant))
            environment["BARTIZAN_MUTANT"] = str(file)
        node.start(environment=environment, wait=False)

    def arm(self, plan: str) -> None:
        """As `BARTIZAN_FAILPOINT` says it; counted from now."""
        self._at_rest()
        half = _plan(self.node).with_suffix(".half")
        half.write_text(plan, "ascii")
        half.rename(_plan(self.node))

    def passed_in(self, sent: Sent) -> tuple[Answer, list[str]]:
        """The answer, and each failpoint on its way."""
        self._at_rest()
        _passed(self.node).unlink(missing_ok=True)
        answer = sent.to(self.node)
        return answer, _passed(self.node).read_text("ascii").split() if _passed(self.node).exists() else []

    def _at_rest(self) -> None:
        """A client has its answer before the node has passed the last mark behind it; one more round, and it has."""
        assert self.node.ready()

    def killed_at(self, sent: Sent, mark: str, occurrence: int) -> Answer:
        """I9: dead by SIGKILL exactly there, and up again. Gives what the client got of it."""
        self.arm(f"{mark}=kill@{occurrence}")
        answer = sent.to(self.node)
        dead = settled(lambda: not self.node.living)
        _plan(self.node).unlink()
        assert dead, f"not killed at {mark}, {occurrence}: {answer}"
        assert self.node.wait() == -9, f"another end at {mark}, {occurrence}: {answer}"
        self.change_over()
        return answer

    def killed_half_way(self, sent: Sent) -> Answer:
        """While its answer is on the way: one byte of it has come."""
        got = cut_answer(self.node, sent, 1)
        assert len(got) == 1
        self.node.kill()
        assert self.node.wait() == -9
        self.change_over()
        return Answer(0)

    def change_over(self) -> None:
        """What died starts again; the next one answers meanwhile."""
        dead = self.nodes.pop(0)
        _plan(dead).unlink(missing_ok=True)
        self._begin(dead)
        self.nodes.append(dead)
        self.node.wait_ready()

    def person(self, *, password: bool = False, admin: bool = False) -> Person:
        (made,) = steps.people(self.site, password=password)
        if admin:
            self.count("WITH done AS (UPDATE users SET admin = true WHERE id = $1) SELECT 0", made.user.id)
        return made

    def count(self, query: str, *arguments: object) -> int:
        (row,) = steps.rows(self.site, query, *arguments)
        return int(next(iter(row.values())))

    def events(self, code: str, column: str, value: object) -> int:
        return self.count(f"SELECT count(*) FROM events WHERE code = $1 AND {column} = $2", code, value)


def _plan(node: Node) -> Path:
    return node.sockets / "plan"


def _passed(node: Node) -> Path:
    return node.sockets / "passed"


class Deed(Struct, frozen=True, kw_only=True):
    """`once`: the second time changes nothing. Else each acknowledged time is an effect of its own."""

    sent: Sent
    effects: Callable[[], int]
    audited: Callable[[], int]  # rows that tell of it: events, or the outbox where the effect is a mail
    first: int  # the status of doing it
    again: frozenset[int]  # of doing it once more
    onward: Callable[[Answer], None]  # the client goes on to the end, from the last answer
    once: bool = True


Prepare = Callable[[Bench], Deed]


def assert_whole(bench: Bench, deed: Deed, answers: tuple[Answer, ...], where: str) -> None:
    """After a break, before anybody tries again."""
    done = deed.effects()
    acknowledged = sum(answer.status == deed.first for answer in answers)
    assert done >= min(acknowledged, 1), f"I1: acknowledged and lost: {where}"
    if deed.once:
        assert done <= 1, f"I2: done {done} times: {where}"
    else:
        assert acknowledged <= done <= len(answers), f"I2: done {done} times for {len(answers)} requests: {where}"
    assert deed.audited() == done, f"I7: {done} effects, {deed.audited()} rows that tell of them: {where}"
    bench_idle(bench, where)


def bench_idle(bench: Bench, where: str) -> None:
    """I10: nothing is left open that would hold up another."""
    steps_open = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
    assert settled(lambda: bench.count(steps_open) == 0), f"I10: a transaction was left open: {where}"


def settled(holds: Callable[[], bool], seconds: float = 5.0) -> bool:
    """PostgreSQL notices the end of a client in its own time."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def goes_on(bench: Bench, deed: Deed, broken: Answer, where: str) -> None:
    """The client, with no answer in hand, asks the very same again, and then walks to the end."""
    assert_whole(bench, deed, (broken,), where)
    done = deed.effects()
    again = deed.sent.to(bench.node)
    expected = deed.again if done else {deed.first, *deed.again}
    assert again.status in expected, f"I10: the client cannot go on: {where}: {again}"
    assert_whole(bench, deed, (broken, again), f"{where}, and again")
    deed.onward(again)
