"""X1: kill -9 at each step of each deed. What was acknowledged is there, what is single-use stays so (I1, I2, I7).

By default the walks that hand out tokens are killed at every mark, and while their answer is on the way; the others
where their transaction is decided. `BARTIZAN_FAULTS=long` kills all of them everywhere.
"""

from __future__ import annotations

import asyncio
import re
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
from tests.faults import steps
from tests.faults.crash import deeds_bff, deeds_oauth, deeds_pages
from tests.faults.crash.bench import Bench, assert_whole, goes_on
from tests.faults.crash.chains import together
from tests.faults.crash.test_refresh_kills import BFF_DEATHS, DEATHS
from tests.faults.crash.wire import sent_by
from tests.faults.forms import LONG
from tests.faults.steps import PASSWORD
from tests.faults.test_failpoints import marks
from tests.fixtures.wire import Answer

pytestmark = pytest.mark.faults

DEEDS = deeds_oauth.DEEDS | deeds_pages.DEEDS | deeds_bff.DEEDS

_TRANSACTION = ("store.begin", "store.commit", "store.committed", "answer.sending")
_ROTATION = ("rotations.rotating", "rotations.rotated", "answer.sending")
_ISSUE = ("code.issuing", "code.committed", "answer.sending")
_REDEEM = ("code.redeeming", "redeem.committed", "answer.sending")
_PUSH = ("par.push", "par.pushed", "answer.sending")

# What each deed passes on its way. Each of them is killed there, each time that it passes.
PASSES: dict[str, tuple[str, ...]] = {
    "authorize": _ISSUE,
    "push": _PUSH,
    "open what was pushed": ("authorize.take", "authorize.taken", *_ISSUE),
    "begin an interaction": ("authorize.begin", "authorize.begun", "answer.sending"),
    "redeem": _REDEEM,
    "refresh": _ROTATION,
    "a stolen token": ("rotations.rotating", "rotations.judged", "rotations.judgement_committed", "answer.sending"),
    "revoke": _TRANSACTION,
    "sign out": _TRANSACTION,
    "client credentials": ("answer.sending",),
    "introspect": ("answer.sending",),
    **dict.fromkeys(deeds_pages.DEEDS, _TRANSACTION),
    "sign in": ("session.beginning", "session.begun", "answer.sending"),
    "consent": (*_TRANSACTION, "code.finishing", "code.finished"),
    "begin a login": (*_PUSH, "bff.pushed"),
    "callback": (*_REDEEM, "callback.redeemed"),
    "refresh by the app": (*_ROTATION, "bff.rotated"),
    "renew": (*_ROTATION, "bff.rotated"),
    "sign out of the app": (*_TRANSACTION, "bff.revoked"),
}
EVERYWHERE = {"authorize", "sign in", "redeem", "refresh", "sign out"}
# Where it is decided: right before the commit, and right after.
DECIDED = {
    "store.commit", "store.committed", "code.committed", "code.finished", "redeem.committed", "session.begun",
    "rotations.rotated", "rotations.judged", "rotations.judgement_committed", "par.pushed", "authorize.taken",
    "authorize.begun", "callback.redeemed", "bff.rotated", "bff.revoked", "bff.pushed",
}  # fmt: skip

_SECRET = re.compile(r"bz[a-z]_[A-Za-z0-9_-]{20,}|eyJ[A-Za-z0-9_-]{20,}")


def test_each_mark_is_in_a_table() -> None:
    """A new mark in auth, database or frontend belongs to a walk here, or another room's test names it."""
    rooms = ("auth/", "database/", "frontend/", "web/")
    marked = marks()
    ours = {name for name, (place,) in marked.items() if place.startswith(rooms)}
    known = set(filter(None, DEATHS + BFF_DEATHS)).union(*PASSES.values())
    assert known - set(marked) == set(), "a table names a mark that is gone"
    elsewhere = [path.read_text("utf-8") for path in Path(__file__).parents[1].rglob("*.py")]
    named = {name for name in ours - known if any(f'"{name}' in text for text in elsewhere)}
    assert ours - known - named == set(), "a mark that no walk is killed at"
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
    """From a walk that nothing breaks: which marks it passes, and how often. One goes before it, so that what a node
    asks for once in its life (keys) is not counted: a later kill would wait for it in vain."""
    DEEDS[name](bench).sent.to(bench.node)
    deed = DEEDS[name](bench)
    answer, passed = bench.passed_in(deed.sent)
    assert deed.first in (answer.status, -1), f"{name} does not work unbroken: {answer}"
    assert_whole(bench, deed, (answer,), name)
    assert set(PASSES[name]) <= set(passed), f"{name} passed {passed}"
    deed.onward(answer)
    chosen = set(PASSES[name]) if LONG or name in EVERYWHERE else DECIDED & set(PASSES[name]) or {"answer.sending"}
    return [(mark, number) for mark in sorted(chosen) for number in range(1, passed.count(mark) + 1)]


@pytest.mark.parametrize("mark", ["code.redeeming", "redeem.committed"])
def test_a_batch_of_codes_dies_whole_or_not_at_all(bench: Bench, mark: str) -> None:
    """Twenty-four people's codes in one or two commits: each of them is bought once, or can still be."""
    people = steps.people(bench.site, 24)
    asked = [sent_by(partial(steps.redeem, code=steps.code_in(steps.authorize(bench.node, one)))) for one in people]
    sessions = [person.session.id for person in people]
    bench.arm(f"{mark}=kill")
    node = bench.node
    first = asyncio.run(together(node, asked))
    assert node.wait() == -9
    bench.change_over()
    bought = _bought(bench, sessions)
    assert all(bought[session] == (1, 1) for session, got in zip(sessions, first, strict=True) if got.status == 200), (
        "I1"
    )
    assert all(pair in ((0, 0), (1, 1)) for pair in bought.values()), f"I2, I7: {bought}"
    again = asyncio.run(together(bench.node, asked))
    assert [answer.status for answer in again] == [400 if bought[session][0] else 200 for session in sessions], "I2"
    assert set(_bought(bench, sessions).values()) == {(1, 1)}, "I2, I7"


def _bought(bench: Bench, sessions: list[UUID]) -> dict[UUID, tuple[int, int]]:
    """Families and their events, by session."""
    rows = steps.rows(
        bench.site,
        """
        SELECT one, (SELECT count(*) FROM families WHERE session_id = one) AS families,
               (SELECT count(*) FROM events WHERE session_id = one AND code = 'token.issued') AS noted
        FROM unnest($1::uuid[]) AS one
        """,
        sessions,
    )
    return {row["one"]: (row["families"], row["noted"]) for row in rows}


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
