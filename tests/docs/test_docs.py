"""The documents do not lie: pictures are current, every named file and test exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("script", ["docs/draw.py", "docs/tables.py"])
def test_what_is_drawn_from_the_code_is_current(script: str) -> None:
    done = subprocess.run([sys.executable, script, "--check"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_file_that_the_notes_map_names_exists_and_every_test_is_there() -> None:
    page = (ROOT / "docs" / "notes-map.md").read_text()
    rows = re.findall(r"^\| (N\d+) \|", page, re.MULTILINE)
    assert rows == [f"N{number}" for number in range(1, 20)]
    for name in re.findall(r"`((?:src|tests|docs|clients|deploy)/[^`]+)`", page):
        path, _, test = name.partition("::")
        assert (ROOT / path).exists(), name
        if test:
            assert f"def {test}(" in (ROOT / path).read_text(), name


def test_every_local_link_of_every_page_leads_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_file_that_a_page_names_exists() -> None:
    """Beside the root, below the package, or beside the page. What a run makes (`.bartizan/…`) is not ours."""
    for page in ROOT.glob("docs/**/*.md"):
        for name in re.findall(r"`([\w-]+/[\w./-]*\w\.(?:py|lua|js|html|toml|md|yml))`", page.read_text()):
            places = (ROOT / name, ROOT / "src" / "bartizan" / name, page.parent / name)
            assert any(place.exists() for place in places), f"{page.name}: {name}"


def test_every_picture_is_small() -> None:
    shown = "".join(page.read_text() for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")])
    for picture in (ROOT / "docs" / "pictures").iterdir():
        assert picture.stat().st_size < 150_000
        assert f"pictures/{picture.name}" in shown
