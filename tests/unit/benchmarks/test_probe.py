"""No figure is bought with durability: a weak setting ends the run before anything is measured."""

from __future__ import annotations

import pytest
from benchmarks.probe import DURABLE, Told, Weakened, check, signs_per_second, too_few_syncs


def test_the_settings_that_the_product_ships_pass() -> None:
    check(dict(DURABLE))


@pytest.mark.parametrize("name", sorted(DURABLE))
def test_each_weak_setting_is_refused_by_name(name: str) -> None:
    with pytest.raises(Weakened, match=f"{name} is off, not on"):
        check(DURABLE | {name: "off"})


def test_a_commit_that_waits_for_less_than_the_disk_is_refused() -> None:
    with pytest.raises(Weakened, match="synchronous_commit is local, not on"):
        check(DURABLE | {"synchronous_commit": "local"})


def test_a_setting_that_cannot_be_seen_is_refused() -> None:
    with pytest.raises(Weakened, match="fsync is None"):
        check({name: value for name, value in DURABLE.items() if name != "fsync"})


def test_the_probe_signs() -> None:
    assert signs_per_second(0.01) > 100


def test_commits_that_did_not_reach_the_disk_make_the_lone_row_void() -> None:
    assert too_few_syncs(Told(10, 10), Told(3010, 22)) == "12 syncs of the log for 3000 commits"
    assert too_few_syncs(Told(10, 10), Told(3010, 2110)) == ""
    assert too_few_syncs(Told(10, 10), Told(10, 10)), "nobody has told: nothing is shown"
