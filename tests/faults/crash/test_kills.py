"""X1: kill -9 at each step of each deed. What was acknowledged is there, what is single-use stays so (I1, I2, I7).

By default the walks that hand out tokens are killed at every mark, and while their answer is on the way; the others
where their transaction is decided. `BARTIZAN_FAULTS=long` kills all of them everywhere.
"""

from __future__ import annotations

import os
import re

import pytest
from tests.faults.crash import deeds_bff, deeds_oauth, deeds_pages
from tests.faults.crash.bench import Bench, assert_whole, goes_on
from tests.faults.steps import PASSWORD
from tests.faults.test_failpoints import marks
from tests.fixtures.nodes import Answer

pytestmark = pytest.mark.faults

LONG = os.environ.get("BARTIZAN_FAULTS") == "long"
DEEDS = deeds_oauth.DEEDS | deeds_pages.DEEDS | deeds_bff.DEEDS

_TRANSACTION = ("store.begin", "store.commit", "store.committed", "answer.sending")
_ROTATION = ("rotations.rotating", "rotations.rotated", "answer.sending")
_ISSUE = ("code.added", "code.committed", "answer.sending")
_REDEEM = ("code.spent", "family.added", "redeem.committed", "answer.sending")
_PUSH = ("par.push", "par.pushed", "answer.sending")

# What each deed passes on its way. Each of them is killed there, each time that it passes.
PASSES: dict[str, tuple[str, ...]] = {
    "authorize": _ISSUE,
    "push": _PUSH,
    "open what was pushed": ("authorize.take", "authorize.taken", *_ISSUE),
    "begin an interaction": ("authorize.begin", "authorize.begun", "answer.sending"),
    "redeem": _REDEEM,
    "refresh": _ROTATION,
    "revoke": _TRANSACTION,
    "sign out": _TRANSACTION,
    "client credentials": ("answer.sending",),
    "introspect": ("answer.sending",),
    **dict.fromkeys(deeds_pages.DEEDS, _TRANSACTION),
    "begin a login": (*_PUSH, "bff.pushed"),
    "callback": (*_REDEEM, "callback.redeemed"),
    "refresh by the app": (*_ROTATION, "bff.rotated"),
    "renew": (*_ROTATION, "bff.rotated"),
    "sign out of the app": (*_TRANSACTION, "bff.revoked"),
}
EVERYWHERE = {"authorize", "open what was pushed", "sign in", "consent", "redeem", "refresh", "sign out", "callback"}
DECIDED = {"store.commit", "store.committed", "par.pushed", "authorize.begun", "bff.rotated", "bff.revoked"}

_SECRET = re.compile(r"bz[a-z]_[A-Za-z0-9_-]{20,}|eyJ[A-Za-z0-9_-]{20,}")

# Marks of others: named where they are killed, held or made to fail.
BATCHES = {"coalesce.batch", "rotations.rotated_many", "rotations.judged", "rotations.judgement_committed"}


def test_each_mark_is_in_a_table() -> None:
    """A new mark in auth, database or frontend belongs to a walk here, or is another room's by name."""
    rooms = ("auth/", "database/", "frontend/", "web/")
    ours = {name for name, (place,) in marks().items() if place.startswith(rooms)}
    known = BATCHES.union(*PASSES.values())
    assert known - ours == set(), "a table names a mark that is gone"
    assert ours - known == set(), "a mark that no walk is killed at"
    assert set(PASSES) == set(DEEDS)


@pytest.mark.parametrize("name", DEEDS)
def test_a_kill_at_each_step(bench: Bench, name: str) -> None:
    for mark, occurrence in _planned(bench, name):
        deed = DEEDS[name](bench)
        where = f"{name}, killed at {mark}, {occurrence}"
        broken = bench.killed_at(deed.sent, mark, occurrence)
        assert broken.status == 0 or (mark == "answer.sending" and occurrence > 1), f"an answer came: {where}: {broken}"
        goes_on(bench, deed, broken, where)
    if LONG or name in EVERYWHERE:
        deed = DEEDS[name](bench)
        goes_on(bench, deed, bench.killed_half_way(deed.sent), f"{name}, killed while it answers")


def _planned(bench: Bench, name: str) -> list[tuple[str, int]]:
    """From a walk that nothing breaks: which marks it passes, and how often."""
    deed = DEEDS[name](bench)
    answer, passed = bench.passed_in(deed.sent)
    assert deed.first in (answer.status, -1), f"{name} does not work unbroken: {answer}"
    assert_whole(bench, deed, (answer,), name)
    assert set(PASSES[name]) <= set(passed), f"{name} passed {passed}"
    deed.onward(answer)
    chosen = set(PASSES[name]) if LONG or name in EVERYWHERE else DECIDED & set(PASSES[name]) or {"answer.sending"}
    return [(mark, number) for mark in sorted(chosen) for number in range(1, passed.count(mark) + 1)]


def test_an_answer_that_was_lost_is_not_taken_for_one(bench: Bench) -> None:
    """The check itself: what is claimed to be acknowledged and is not there is I1."""
    deed = DEEDS["authorize"](bench)
    with pytest.raises(AssertionError, match="I1"):
        assert_whole(bench, deed, (Answer(deed.first),), "never sent")


def test_no_log_holds_a_secret(bench: Bench) -> None:
    """I8, after all the deaths above: codes, tokens, session secrets and passwords stand in no line of any node."""
    for node in bench.nodes:
        said = node.log.read_text()
        assert said, "a node that logs nothing proves nothing"
        found = _SECRET.findall(said) + [word for word in (PASSWORD, deeds_pages.NEW_PASSWORD) if word in said]
        assert found == [], f"I8: {node.name}"
