"""The fenced blocks of the pages, so that what they show can be run."""

from __future__ import annotations

import re
from pathlib import Path

from msgspec import Struct

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
_FENCE = re.compile(r"^```([a-z]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(Struct, frozen=True):
    page: str
    number: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}-{self.number}"


def blocks(*languages: str) -> list[Block]:
    """Those in one of these languages, or all."""
    return [
        Block(str(page.relative_to(ROOT)), number, found[1], found[2])
        for page in PAGES
        for number, found in enumerate(_FENCE.finditer(page.read_text()), 1)
        if not languages or found[1] in languages
    ]
