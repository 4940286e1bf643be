"""docs/dependencies.md names every direct dependency, and the locks hold them all, by hash, from no named place."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9_.-]+", requirement)
    assert found
    return found.group()


@pytest.mark.parametrize(
    "requirement", [*PROJECT["dependencies"], *EXTRAS["stack"], *EXTRAS["engines"], *EXTRAS["dev"]]
)
def test_each_has_a_line_in_the_document(requirement: str) -> None:
    """Licence, what for, who keeps it, what was weighed."""
    page = (ROOT / "docs/dependencies.md").read_text()
    lines = re.findall(rf"^\| {re.escape(name(requirement))} \|(.*)\|$", page, re.MULTILINE | re.IGNORECASE)
    assert len(lines) == 1
    assert len([cell for cell in lines[0].split("|") if cell.strip()]) == 4


@pytest.mark.parametrize(("lock", "extras"), [("stack", ("stack", "engines")), ("dev", ("stack", "engines", "dev"))])
def test_each_is_locked_by_hash(lock: str, extras: tuple[str, ...]) -> None:
    text = (ROOT / f"requirements/{lock}.lock").read_text().lower()
    assert "://" not in text
    assert "index" not in text
    for requirement in [*PROJECT["dependencies"], *(row for extra in extras for row in EXTRAS[extra])]:
        assert re.search(rf"^{re.escape(name(requirement).lower())}(\[[a-z]+\])?==", text, re.MULTILINE), requirement
    entries = re.split(r"\n(?=\S)", text.strip())
    assert all("--hash=sha256:" in entry for entry in entries)
