"""Flows §6, the table of a presented refresh token: a row a rule, without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bartizan.database.presented import Standing, Verdict, judge
from bartizan.model.families import Outcome

NOW = datetime(2030, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def standing(**fields: Any) -> Standing:
    given: dict[str, Any] = {
        "client_id": "app", "living": True, "bff": False, "generation": 10, "rotated_at": NOW - HOUR,
        "rotated_before": None, "graced": False, "graced_run": 0, "late_gen": None, "late_count": 0, "late_since": None,
    }  # fmt: skip
    return Standing(**(given | fields))


JUST: dict[str, Any] = {"rotated_at": NOW - timedelta(seconds=10)}
AFTER = {"rotated_at": NOW - timedelta(seconds=10, microseconds=1)}
BURST = {"rotated_before": tuple(JUST["rotated_at"] - timedelta(seconds=one) for one in (0.5, 10, 10.5))}
NOW_AND_BEFORE = {
    "rotated_at": NOW,
    "rotated_before": tuple(NOW - timedelta(seconds=one) for one in (9, 10, 10.001)),
}
GRACED = {"graced": True, "graced_run": 1}
COUNTED = {"late_gen": 10, "late_count": 1, "late_since": NOW}


@pytest.mark.parametrize(
    ("row", "presented", "verdict"),
    [
        (None, 10, Verdict(Outcome.UNKNOWN)),
        (standing(client_id="other"), 10, Verdict(Outcome.UNKNOWN)),
        (standing(client_id="other", living=False), 10, Verdict(Outcome.UNKNOWN)),
        (standing(living=False), 10, Verdict(Outcome.ENDED)),
        (standing(living=False), 3, Verdict(Outcome.ENDED)),
        (standing(living=False), 12, Verdict(Outcome.ENDED)),
        (standing(), 10, Verdict(None)),
        (standing(), 11, Verdict(Outcome.AHEAD)),
        (standing(), 8, Verdict(Outcome.THEFT, cause="replayed")),
        (standing(**JUST), 8, Verdict(Outcome.THEFT, cause="replayed")),
        (standing(bff=True), 1, Verdict(Outcome.THEFT, cause="replayed")),
        (standing(**NOW_AND_BEFORE), 8, Verdict(Outcome.GRACE, {"graced": True, "graced_run": 1})),
        (standing(**NOW_AND_BEFORE, **GRACED), 7, Verdict(Outcome.GRACE)),
        (standing(**NOW_AND_BEFORE), 6, Verdict(Outcome.THEFT, cause="replayed")),
        (standing(**NOW_AND_BEFORE, graced_run=4), 8, Verdict(Outcome.THEFT, cause="graced_run")),
        (standing(**JUST, **BURST), 8, Verdict(Outcome.LATE_RETRY, COUNTED)),
        (standing(**JUST, **BURST), 7, Verdict(Outcome.LATE_RETRY, COUNTED)),
        (standing(**JUST, **BURST, **COUNTED), 7, Verdict(Outcome.LATE_RETRY)),
        (standing(**JUST, **BURST), 6, Verdict(Outcome.THEFT, cause="replayed")),
        (standing(**JUST, **BURST), 5, Verdict(Outcome.THEFT, cause="replayed")),
        (standing(**JUST, **BURST, living=False), 8, Verdict(Outcome.ENDED)),
        (standing(**JUST), 9, Verdict(Outcome.GRACE, {"graced": True, "graced_run": 1})),
        (standing(**JUST, **GRACED), 9, Verdict(Outcome.GRACE)),
        (standing(**JUST, graced_run=3), 9, Verdict(Outcome.GRACE, {"graced": True, "graced_run": 4})),
        (standing(**JUST, graced_run=4), 9, Verdict(Outcome.THEFT, cause="graced_run")),
        (standing(**JUST, graced_run=4, bff=True), 9, Verdict(Outcome.GRACE, {"graced": True, "graced_run": 5})),
        (standing(rotated_at=NOW + HOUR), 9, Verdict(Outcome.GRACE, {"graced": True, "graced_run": 1})),
        (standing(**AFTER), 9, Verdict(Outcome.LATE_RETRY, COUNTED)),
        (standing(**AFTER, **COUNTED), 9, Verdict(Outcome.LATE_RETRY)),
        (
            standing(late_gen=9, late_count=1, late_since=NOW - HOUR),
            9,
            Verdict(Outcome.LATE_RETRY, {"late_gen": 10, "late_count": 2, "late_since": NOW - HOUR}),
        ),
        (
            standing(late_gen=9, late_count=2, late_since=NOW - HOUR),
            9,
            Verdict(Outcome.CONTENDED, cause="late_retries"),
        ),
        (standing(late_gen=10, late_count=2, late_since=NOW - HOUR), 9, Verdict(Outcome.LATE_RETRY)),
        (standing(late_gen=9, late_count=2, late_since=NOW - 24 * HOUR), 9, Verdict(Outcome.LATE_RETRY, COUNTED)),
    ],
)
def test_the_table(row: Standing | None, presented: int, verdict: Verdict) -> None:
    assert judge(row, presented, "app", NOW) == verdict
