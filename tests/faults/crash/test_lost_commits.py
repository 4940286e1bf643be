"""A commit came through and its answer was lost on the way from the database: all of its batch are told 503.

Nobody's work is taken for a thief's, which trying again here would: no family ends, no 500, nothing is done twice
(I2, I7, I10).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from uuid import UUID

import pytest
from tests.faults import steps
from tests.faults.crash.bench import Bench
from tests.faults.crash.chains import together
from tests.faults.crash.wire import Sent, sent_by

pytestmark = pytest.mark.faults

PEOPLE = 24


def test_codes_issued(bench: Bench) -> None:
    people = steps.people(bench.site, PEOPLE)
    asked = [sent_by(partial(steps.authorize, person=one)) for one in people]
    seen = _lost(bench, "code.committed", asked)
    assert set(seen) == {503}, f"I10: {seen}"
    for person in people:
        codes = bench.count("SELECT count(*) FROM codes WHERE session_id = $1", person.session.id)
        assert codes == bench.events("code.issued", "session_id", person.session.id) == 1, "I2, I7"


def test_codes_redeemed(bench: Bench) -> None:
    people = steps.people(bench.site, PEOPLE)
    asked = [sent_by(partial(steps.redeem, code=steps.code_in(steps.authorize(bench.node, one)))) for one in people]
    seen = _lost(bench, "redeem.committed", asked)
    sessions: list[UUID] = [person.session.id for person in people]
    living = "SELECT count(*) FROM families WHERE session_id = ANY ($1) AND ended_at IS NULL"
    noted = "SELECT count(*) FROM events WHERE session_id = ANY ($1) AND code = 'token.issued'"
    assert set(seen) == {503}, f"I10: taken for a thief: {seen}"
    assert bench.count(living, sessions) == bench.count(noted, sessions) == PEOPLE, "I2, I7"


def _lost(bench: Bench, mark: str, asked: list[Sent]) -> Counter[int]:
    bench.arm(f"{mark}=unavailable")
    try:
        answers = asyncio.run(together(bench.node, asked))
    finally:
        bench.mended()
    return Counter(answer.status for answer in answers)
