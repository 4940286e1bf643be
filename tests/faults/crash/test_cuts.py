"""X13: the client hangs up after n bytes of its request, and after n bytes of the answer (I2, I10).

By default at every boundary: within the request line, around the end of the head, within the body, before its last
byte. `BARTIZAN_FAULTS=long`: of requests at every n, of answers at every fifth, as each takes a new deed
(`BARTIZAN_CUT_STRIDE=1`: at every one). After it no transaction is open, no lock is held, no half upload lies
about, 64 clients at once are answered, and memory and descriptors are where they were.
"""

from __future__ import annotations

import asyncio
import os
from functools import partial

import pytest
from tests.faults import steps
from tests.faults.crash import deeds_oauth, deeds_pages, uploads
from tests.faults.crash.bench import Bench, Deed, Prepare, assert_whole, bench_idle, settled
from tests.faults.crash.chains import ask_raw, door, together
from tests.faults.crash.wire import Sent, cut_answer, cut_request, sent_by
from tests.faults.forms import LONG
from tests.faults.kernel import descriptors, resident
from tests.faults.steps import Person
from tests.fixtures.wire import Answer

pytestmark = pytest.mark.faults

STRIDE = int(os.environ.get("BARTIZAN_CUT_STRIDE", "5"))
DEEDS: dict[str, Prepare] = {
    "redeem": deeds_oauth.redeem,
    "refresh": deeds_oauth.refresh,
    "sign in": deeds_pages.sign_in,
}
LOCKS = """
    SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE application_name = 'bartizan' AND granted AND locktype IN ('transactionid', 'tuple', 'advisory', 'relation')
"""
_FLAT_BYTES = 8 * 1024 * 1024
_SPARE_DESCRIPTORS = 12  # connections to the database, which the pool may open up to its size


def boundaries(message: bytes, stride: int = 1) -> list[int]:
    """Where something ends. Long: everywhere, by the stride; of what is longer than 8 KB, at some hundred places."""
    head = message.index(b"\r\n\r\n") + 4
    line = message.index(b"\r\n") + 2
    near = {0, 1, line - 1, line, head - 3, head - 1, head, head + 1, (head + len(message)) // 2, len(message) - 1}
    if LONG:
        near |= {*range(0, len(message), max(stride, len(message) // 8192 * 97))}
    return sorted(number for number in near if number <= len(message))


@pytest.mark.parametrize("name", DEEDS)
def test_a_request_that_breaks_off(bench: Bench, name: str) -> None:
    """Nothing has happened, and the whole request then does all of it."""
    deed = DEEDS[name](bench)
    for number in boundaries(deed.sent.raw())[:-1]:
        cut_request(bench.node, deed.sent, number)
    assert_nothing_leaks(bench, f"{name}, cut requests")
    assert deed.effects() == 0, f"I2: half a request had an effect: {name}"
    answer = deed.sent.to(bench.node)
    assert_whole(bench, deed, (answer,), name)
    assert answer.status == deed.first, answer
    deed.onward(answer)


@pytest.mark.parametrize("name", DEEDS)
def test_an_answer_that_nobody_reads(bench: Bench, name: str) -> None:
    """Hung up after n bytes of it: all has happened, or nothing, and the client goes on."""
    example = as_it_came(bench, DEEDS[name](bench).sent)
    for number in boundaries(example, STRIDE):
        bench.forget_tries()
        hung_up(bench, DEEDS[name](bench), number, name)
    assert_nothing_leaks(bench, f"{name}, cut answers")


def as_it_came(bench: Bench, sent: Sent) -> bytes:
    raw, answer = asyncio.run(ask_raw(door(bench.node, sent.at), sent.raw()))
    assert answer.status, "the answer broke off"
    return raw


def hung_up(bench: Bench, deed: Deed, after: int, name: str) -> None:
    got = cut_answer(bench.node, deed.sent, after)
    assert len(got) <= after
    where = f"{name}, hung up after {after} bytes"
    assert settled(lambda: deed.effects() == 1), f"I1: nothing was done: {where}"
    assert_whole(bench, deed, (Answer(0),), where)


def test_an_upload_that_breaks_off_leaves_nothing(bench: Bench) -> None:
    person = bench.person()
    sent = uploads.upload(bench, person)
    for number in boundaries(sent.raw())[:-1]:
        cut_request(bench.node, sent, number)
    upload_leaves_nothing(bench)
    uploads.assert_as_listed(bench, person, 0)
    assert sent.to(bench.node).status == 201
    uploads.assert_as_listed(bench, person, 1)


def upload_leaves_nothing(bench: Bench, seconds: float = 5.0) -> None:
    assert_nothing_leaks(bench, "upload")  # by now the node has taken note of each cut
    assert settled(lambda: uploads.half_uploads(bench) == [], seconds), "I10: a half upload lies about"


def test_an_upload_whose_answer_nobody_reads(bench: Bench) -> None:
    person = bench.person()
    numbers = boundaries(as_it_came(bench, uploads.upload(bench, person)), STRIDE)
    for count, number in enumerate(numbers, 2):
        cut_answer(bench.node, uploads.upload(bench, person), number)
        assert settled(partial(_has, bench, person, count)), f"I1: nothing was kept after {number} bytes"
    upload_leaves_nothing(bench)
    uploads.assert_as_listed(bench, person, 1 + len(numbers))


def _has(bench: Bench, person: Person, number: int) -> bool:
    return bench.count(uploads.FILES, person.user.id) == number


def assert_nothing_leaks(bench: Bench, where: str) -> None:
    bench_idle(bench, where)
    assert settled(lambda: bench.count(LOCKS) == 0), f"I10: a lock is held: {where}"
    assert_64_are_answered(bench, where)


def assert_64_are_answered(bench: Bench, where: str) -> None:
    """As many as the pool has connections, and more: had one been lost, they would wait for it and fail."""
    planted = [steps.family(bench.site, person)[1] for person in steps.people(bench.site, 8)]
    asked = [sent_by(partial(steps.refreshed, refresh_token=one)) for one in planted for _ in range(8)]
    answers = asyncio.run(together(bench.node, asked))
    assert [answer.status for answer in answers] == [200] * 64, f"I10: {where}: {answers}"


def test_memory_and_descriptors_stay_flat(bench: Bench) -> None:
    """Three hundred connections cut at every kind of place, after a hundred that warm it up."""
    sent = deeds_oauth.refresh(bench).sent
    places = boundaries(sent.raw())
    _cut_many(bench, sent, places, 100)
    pid = bench.node.pid
    handles, memory = descriptors(pid), resident(pid)
    _cut_many(bench, sent, places, 300)
    bench_idle(bench, "flat")
    assert settled(lambda: descriptors(pid) <= handles + _SPARE_DESCRIPTORS), "I10: descriptors leak"
    grown = resident(pid) - memory
    assert grown < _FLAT_BYTES, f"I10: {grown} bytes more after 300 cut connections"


def _cut_many(bench: Bench, sent: Sent, places: list[int], times: int) -> None:
    for number in range(times):
        place = places[number % len(places)]
        if number % 2:
            cut_answer(bench.node, sent, place)
        else:
            cut_request(bench.node, sent, place)
