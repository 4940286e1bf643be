"""The words of the command: unknown rows and senseless numbers end it with a sentence."""

from __future__ import annotations

import pytest
from benchmarks.options import parse

KNOWN = ("refresh", "jwks", "idle")


def test_without_rows_all_are_run() -> None:
    assert parse([], KNOWN).rows == KNOWN


def test_rows_run_in_the_order_of_the_table() -> None:
    assert parse(["idle", "refresh", "--seconds", "5"], KNOWN).rows == ("refresh", "idle")


@pytest.mark.parametrize(
    "words",
    [["nothing"], ["--seconds", "0"], ["--connections", "0"], ["--runs", "0"], ["--families", "100"]],
)
def test_what_makes_no_sense_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(words, KNOWN)
    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_a_row_on_wish_runs_by_name_alone() -> None:
    assert parse([], KNOWN, ("jwks",)).rows == ("refresh", "idle")
    assert parse(["jwks"], KNOWN, ("jwks",)).rows == ("jwks",)
