"""The table tells what was missed; the file has the shape that scripts read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks import table
from benchmarks.figures import Result, Row

SHAPE = {
    "name", "rps", "p50_ms", "p99_ms", "cpu_ms", "cpu_server_ms", "cpu_database_ms", "floor_cpu_ms", "bar", "bad",
}  # fmt: skip


def result(*, met: bool | None = True, void: str = "") -> Result:
    row = Row(name="refresh", rps=4000.0, p50_ms=15.5, cpu_ms=0.27, floor_cpu_ms=0.1, bar=0.25)
    return Result(row=row, met=met, void=void, beside={"floor": {"rps": 8000}})


def test_a_missed_bar_is_shown() -> None:
    assert table.as_table([result(met=False)]).splitlines()[1].endswith("MISSED")


def test_a_met_bar_is_shown() -> None:
    assert table.as_table([result()]).splitlines()[1].endswith("met")


def test_a_void_row_says_why_and_nothing_of_its_bar() -> None:
    line = table.as_table([result(void="3 bad answers", met=False)]).splitlines()[1]
    assert line.endswith("VOID: 3 bad answers")
    assert "MISSED" not in line


def test_the_file_has_the_shape_of_the_issue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "RESULTS", tmp_path / "results")
    path = table.write({"cores": 2}, [result()], "now")
    written = json.loads(path.read_text())
    assert written.keys() == {"machine", "rows"}
    assert [row.keys() for row in written["rows"]] == [SHAPE]
    assert written["machine"]["cores"] == 2
    assert written["machine"]["beside"]["refresh"]["floor"] == {"rps": 8000}
