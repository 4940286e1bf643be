"""Security requirements §6, X32. CI runs `make soak`; here a few seconds of it show that it can fail.

The long form (BARTIZAN_FAULTS=long) has half a minute of everything, and takes out one protection more.
BARTIZAN_SOAK_SEED is a replay of the half minute.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tests.faults.forms import long_only, rows
from tests.soak import __main__ as program
from tests.soak.run import Report, Settings, say, soak, told

pytestmark = pytest.mark.soak

SECONDS = 20.0
MUTANT_SECONDS = 6.0

# The protection taken out → which checks may see it; the first of them must. All of them look at the same deed: that it
# was acknowledged and is not there (I1), that it is answered as if it had not happened, that no order explains it; and
# what a code bought lives on after its replay (I4).
SEEN_BY = {
    "a revocation only answers": ("I4", "I1", "answers", "linearizable"),
    "a code can be redeemed again": ("I2", "I1", "I4", "answers", "linearizable"),
}


@long_only
def test_half_a_minute_of_everything() -> None:
    given = os.environ.get("BARTIZAN_SOAK_SEED")
    settings = Settings(seconds=SECONDS, seed=int(given) if given else int.from_bytes(os.urandom(4)))
    say(f"seed {settings.seed}")
    report = soak(settings, say)
    text = f"{told(report)}\nto run it again: {settings.replay}"
    print(text)
    assert report.fine, text
    assert len(report.events) >= 2, text
    silent = [name for name, check in report.checks.items() if not check["looked"] and name != "flat"]
    assert not silent, f"nobody looked at {silent}"


@pytest.mark.parametrize(("fine", "asked"), [(True, False), (True, True), (False, False), (False, True)])
def test_a_good_run_leaves_nothing_that_was_not_asked_for(
    fine: bool, asked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    temporary, wanted = tmp_path / "tmp", tmp_path / "wanted.json"
    temporary.mkdir()
    report = Report(
        seed=7, seconds=1.0, replay="", fine=fine, checks={}, answers={}, events=[], figures=[], memory={}, counts={}
    )
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setattr(program, "soak", lambda *_: report)
    monkeypatch.setattr(sys, "argv", ["soak", "--seed", "7", *(("--json", str(wanted)) if asked else ())])
    assert program.main() == (0 if fine else 1)
    kept = wanted if asked else temporary / "bartizan-soak-7.json"
    expected = {kept, kept.with_suffix(".events.jsonl")} if asked or not fine else set()
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == expected
    assert (f"the summary is in {kept}" in capsys.readouterr().out) is bool(expected)


@pytest.mark.parametrize("mutant", rows(SEEN_BY))
def test_without_a_protection_it_ends_red(mutant: str, tmp_path: Path) -> None:
    """As a person starts it. Nothing is hurt: what is wrong is the protection's own invariant, and nothing else."""
    told_in = tmp_path / "soak.json"
    done = subprocess.run(
        [
            sys.executable, "-m", "tests.soak", "--minutes", str(MUTANT_SECONDS / 60), "--mutant", mutant,
            "--json", str(told_in),
        ],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    checks = json.loads(told_in.read_text())["checks"]
    wrong = {name: check["wrong"] for name, check in checks.items() if check["wrong"]}
    assert SEEN_BY[mutant][0] in wrong, done.stdout
    assert wrong.keys() <= set(SEEN_BY[mutant]), wrong
