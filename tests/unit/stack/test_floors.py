"""The house: a new top-level room without a floor fails the build (import-linter's `exhaustive`)."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    tool = Path(sys.executable).with_name("lint-imports")
    words = [str(tool), "--config", str(root / "pyproject.toml"), "--no-cache"]
    environment = {"PYTHONPATH": str(root / "src"), "PATH": "/usr/bin:/bin", "HOME": str(root)}
    return subprocess.run(words, capture_output=True, text=True, cwd=root, env=environment, check=False)


def house(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    return tmp_path


def test_a_room_without_a_floor_fails(tmp_path: Path) -> None:
    root = house(tmp_path)
    room = root / "src" / "bartizan" / "attic"
    room.mkdir()
    (room / "__init__.py").write_text('"""A room that nobody gave a floor."""\n')
    done = lint(root)
    assert done.returncode != 0
    assert "attic" in done.stdout


def test_going_up_fails(tmp_path: Path) -> None:
    root = house(tmp_path)
    (root / "src" / "bartizan" / "protocol" / "up.py").write_text("from bartizan.model import users\n\n_ = users\n")
    done = lint(root)
    assert done.returncode != 0
    assert "bartizan.protocol.up -> bartizan.model.users" in done.stdout
