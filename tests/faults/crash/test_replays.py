"""X12: requests that come twice, late and in another order: one effect each, or a clean refusal (I2, I5, I7)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from tests.faults import steps
from tests.faults.crash import uploads
from tests.faults.crash.bench import Bench, Deed, assert_whole
from tests.faults.crash.chains import ask_raw, door
from tests.faults.crash.deeds_oauth import FAMILIES
from tests.faults.crash.replay import Way, replaying
from tests.faults.crash.test_kills import DEEDS
from tests.faults.crash.wire import Sent, sent_by
from tests.fixtures.wire import Answer

pytestmark = pytest.mark.faults

REFUSED = frozenset({400, 401, 403, 409, 410})  # cleanly: said, and nothing changed


@pytest.mark.parametrize("name", DEEDS)
def test_twice_at_once(bench: Bench, name: str) -> None:
    deed = DEEDS[name](bench)
    twice_at_once(bench, deed, name)


def twice_at_once(bench: Bench, deed: Deed, name: str) -> None:
    seen, unseen = _through(bench, Way.TWICE, deed.sent)
    answers = (*seen, *unseen)
    assert_whole(bench, deed, answers, f"{name}, twice at once")
    assert all(answer.status in {deed.first, *deed.again, *REFUSED} for answer in answers), f"I3: {answers}"
    assert deed.first == -1 or deed.effects() >= 1, f"I1: neither of two did it: {name}"
    refused = [answer for answer in answers if answer.status in REFUSED]
    deed.onward((*refused, answers[0])[0])


@pytest.mark.parametrize("name", DEEDS)
def test_a_copy_that_comes_when_all_is_over(bench: Bench, name: str) -> None:
    deed = DEEDS[name](bench)

    async def run() -> None:
        async with replaying(door(bench.node, deed.sent.at), Way.LATE) as (replay, place):
            answer = (await ask_raw(place, deed.sent.raw()))[1]
            await asyncio.to_thread(deed.onward, answer)
            before = await asyncio.to_thread(deed.effects)
            (late,) = await replay.deliver_kept()
            await asyncio.to_thread(_nothing_new, deed, before, late, name)

    asyncio.run(run())


def _nothing_new(deed: Deed, before: int, late: Answer, name: str) -> None:
    assert late.status in {deed.first, *deed.again, *REFUSED}, f"I3: {name}: {late}"
    after = deed.effects()
    assert before <= after <= before + (0 if deed.once else 1), f"I2, I5: {name}: {late}"
    assert deed.audited() == after, f"I7: {name}: {late}"


def _through(bench: Bench, way: Way, *sent: Sent) -> tuple[list[Answer], list[Answer]]:
    """What the clients got, in the order in which they asked, and what nobody saw."""

    async def run() -> tuple[list[Answer], list[Answer]]:
        async with replaying(door(bench.node, sent[0].at), way) as (replay, place):
            asking = []
            for one in sent:
                asking.append(asyncio.create_task(ask_raw(place, one.raw())))
                if way is Way.SWAPPED:
                    await replay.arrived.get()  # so that the order is the one written, not one of luck
            answers = [(await one)[1] for one in asking]
            return answers, replay.unseen

    return asyncio.run(run())


def _refresh_then_revoke(bench: Bench) -> tuple[Sent, Sent, Callable[[Answer], None]]:
    made, token = steps.family(bench.site, bench.person())

    def check(answer: Answer) -> None:
        assert answer.status == 400, f"I4: refreshed after it was revoked: {answer}"
        assert bench.count("SELECT generation FROM families WHERE id = $1", made.id) == 1, "I4"

    first = sent_by(lambda node: steps.refreshed(node, token))
    return first, sent_by(lambda node: steps.revoke(node, token)), check


def _redeem_then_sign_out(bench: Bench) -> tuple[Sent, Sent, Callable[[Answer], None]]:
    person = bench.person()
    held = steps.redeem(bench.node, steps.code_in(steps.authorize(bench.node, person)))
    code = steps.code_in(steps.authorize(bench.node, person))

    def check(answer: Answer) -> None:
        assert answer.status == 400, f"I4: bought after signing out: {answer}"
        assert bench.count(FAMILIES + " AND ended_at IS NULL", person.session.id) == 0, "I4"

    path = "/logout?" + urlencode({"id_token_hint": str(held.json()["id_token"])})
    out = sent_by(lambda node: node.ask("GET", path, headers={"cookie": person.cookie}))
    return sent_by(lambda node: steps.redeem(node, code)), out, check


SWAPS = {"refresh, revoke": _refresh_then_revoke, "redeem, sign out": _redeem_then_sign_out}


@pytest.mark.parametrize("name", SWAPS)
def test_the_second_overtakes_the_first(bench: Bench, name: str) -> None:
    """What ends is there first: what was on its way before is refused all the same."""
    earlier, ending, check = SWAPS[name](bench)
    (overtaken, ended), _ = _through(bench, Way.SWAPPED, earlier, ending)
    assert ended.status in (200, 303), ended
    check(overtaken)


def test_an_upload_twice_at_once_is_two_whole_files(bench: Bench) -> None:
    """An upload carries no key of its own, so two are two: each whole, each listed, each counted, none by halves."""
    person = bench.person()
    seen, unseen = _through(bench, Way.TWICE, uploads.upload(bench, person))
    assert [answer.status for answer in (*seen, *unseen)] == [201, 201]
    uploads.assert_as_listed(bench, person, 2)
    assert uploads.half_uploads(bench) == []
