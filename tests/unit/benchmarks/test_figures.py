"""What a window comes to: percentiles, CPU for each unit, and the rows that count for nothing."""

from __future__ import annotations

import pytest
from benchmarks.figures import Cost, Load, percentile, result_of, together


def load(*, units: int = 1000, bad: int = 0, own_cpu: float = 0.3) -> Load:
    return Load(units=units, bad=bad, seconds=2.0, latencies=list(range(1_000_000, 1_000_000 + units)), own_cpu=own_cpu)


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_a_percentile_is_a_value_that_was_measured(share: float, value: int) -> None:
    assert percentile(list(range(1, 101)), share) == value


def test_of_one_value_every_percentile_is_that_one() -> None:
    assert percentile([7], 0.5) == percentile([7], 0.99) == 7


def test_of_nothing_there_is_no_percentile() -> None:
    assert percentile([], 0.99) == 0


def test_cpu_is_told_for_each_unit_and_by_tree() -> None:
    row = result_of("refresh", load(), Cost(0.2, 0.03, 0.02), 0.25).row
    assert (row.rps, row.cpu_ms, row.cpu_server_ms, row.cpu_database_ms) == (500.0, 0.25, 0.22, 0.03)
    assert row.p50_ms == pytest.approx(1.0, abs=0.01)


def test_a_bar_is_met_or_missed() -> None:
    assert result_of("refresh", load(), Cost(0.25, 0.0), 0.25).met is True
    assert result_of("refresh", load(), Cost(0.26, 0.0), 0.25).met is False
    assert result_of("refresh", load(), Cost(0.26, 0.0), None).met is None


def test_one_bad_answer_makes_the_row_void_however_cheap_it_was() -> None:
    result = result_of("refresh", load(bad=1), Cost(0.01, 0.0), 0.25)
    assert result.void == "1 bad answers"
    assert result.met is False
    assert result.row.bad == 1


def test_a_row_without_answers_is_void() -> None:
    assert result_of("refresh", load(units=0), Cost(0.0, 0.0), 0.25).void == "no answer at all"


def test_a_generator_that_was_the_bottleneck_is_marked() -> None:
    assert result_of("jwks", load(own_cpu=0.81), Cost(0.01, 0.0), None).marks == ["generator at 81% of a core"]
    assert result_of("jwks", load(own_cpu=0.79), Cost(0.01, 0.0), None).marks == []


def test_several_windows_are_one() -> None:
    first = Load(units=2, bad=0, seconds=1.0, latencies=[1, 5], own_cpu=0.25, counted={"200": 2})
    second = Load(units=4, bad=1, seconds=3.0, latencies=[2, 3, 4, 9], own_cpu=0.75, counted={"200": 4, "503": 1})
    assert together([first, second]) == Load(
        units=6, bad=1, seconds=4.0, latencies=[1, 2, 3, 4, 5, 9], own_cpu=0.625, counted={"200": 6, "503": 1}
    )
    assert Cost(1.0, 2.0, 3.0) + Cost(0.5, 0.25) == Cost(1.5, 2.25, 3.0)
