"""Collapsed stacks (a line: frames joined by `;`, a space, a count) → one picture: who called whom, as wide as it took.

An SVG that needs no script and no other file, light and dark, for docs/performance.md. Lines of one function are one
box; below a thousandth of the width nothing is drawn. The widths are samples of a profiler that interrupts, so a
per cent up or down says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from msgspec import Struct, field

WIDTH, ROW, MARGIN = 1200, 17, 8
_NARROWEST = 1.2  # pixels; what is less is not drawn
_LETTER = 6.3  # pixels of one in the font below
_FRAME = re.compile(r"(?P<function>.+?) \((?P<file>[^():]+)(?::\d+)?\)")

# Whose code it is, by the beginning of the file's name; the first that fits. The colour is a class of the style below.
OWNERS: tuple[tuple[str, str], ...] = (
    ("bartizan/database/", "database"),
    ("bartizan/", "ours"),
    ("asyncpg/", "driver"),
    ("uvicorn/", "server"),
    ("uvloop/", "server"),
    ("asyncio/", "server"),
    ("starlette/", "server"),
)
LEGEND = (
    ("ours", "Bartizan"),
    ("database", "Bartizan's database layer"),
    ("driver", "asyncpg"),
    ("server", "uvicorn, asyncio"),
    ("other", "others"),
)

_STYLE = """
text { font: 11px ui-monospace, monospace; fill: #1d2330 } .title { font-weight: bold }
.paper { fill: #ffffff } .ours { fill: #9ec5fe } .database { fill: #a3e0c2 } .driver { fill: #f7c99b }
.server { fill: #d5d9e2 } .other { fill: #e6c8f0 }
@media (prefers-color-scheme: dark) {
text { fill: #eef1f7 } .paper { fill: #12161f } .ours { fill: #1f4e8c } .database { fill: #1d6b4a }
.driver { fill: #87541c } .server { fill: #3b4252 } .other { fill: #643a75 } }
"""


class Box(Struct):
    """A function where it was called, with what it called."""

    name: str = ""
    file: str = ""
    samples: int = 0
    below: dict[str, Box] = field(default_factory=dict)


def tree(collapsed: str) -> Box:
    """The calls, from the event loop on: what starts a process is above all of them and says nothing."""
    root = Box("all")
    for line in collapsed.splitlines():
        stack, _, count = line.rpartition(" ")
        if not stack or not count.isdigit():
            continue
        root.samples += int(count)
        box = root
        for function, file in _frames(stack):
            box = box.below.setdefault(f"{function} {file}", Box(function, file))
            box.samples += int(count)
    return root


def _frames(stack: str) -> list[tuple[str, str]]:
    frames = [(found["function"], found["file"]) for found in map(_FRAME.fullmatch, stack.split(";")) if found]
    loop = max((place for place, (name, file) in enumerate(frames) if (name, file) == _LOOP), default=-1)
    return frames[loop + 1 :]


_LOOP = ("Runner.run", "asyncio/runners.py")


def drawn(collapsed: str, title: str) -> str:
    """The picture. ValueError when there is nothing to draw."""
    root = tree(collapsed)
    if not root.samples:
        raise ValueError("no samples")
    scale = (WIDTH - 2 * MARGIN) / root.samples
    boxes = list(_boxes(root, MARGIN, 0, scale))
    height = (max(depth for *_, depth in boxes) + 4) * ROW
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"',
        f' role="img" aria-label="{escape(title)}">',
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
        f'<text class="title" x="{MARGIN}" y="{ROW}">{escape(title)} ({root.samples:,} samples)</text>',
        *_legend(),
        *(_box(box, left, depth, scale, root.samples) for box, left, depth in boxes),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _boxes(parent: Box, left: float, depth: int, scale: float) -> Iterator[tuple[Box, float, int]]:
    for box in sorted(parent.below.values(), key=lambda box: -box.samples):
        width = box.samples * scale
        if width >= _NARROWEST:
            yield box, left, depth
            yield from _boxes(box, left, depth + 1, scale)
        left += width


def _legend() -> Iterator[str]:
    left = float(MARGIN)
    for kind, words in LEGEND:
        yield f'<rect class="{kind}" x="{left:.0f}" y="{ROW + 8}" width="10" height="10"/>'
        yield f'<text x="{left + 14:.0f}" y="{ROW + 17}">{escape(words)}</text>'
        left += 34 + len(words) * _LETTER


def _box(box: Box, left: float, depth: int, scale: float, total: int) -> str:
    top, width = (depth + 3) * ROW, box.samples * scale
    share = f"{100 * box.samples / total:.1f} %"
    letters = int((width - 4) / _LETTER)
    shown = f"{box.name} {share}" if len(box.name) + len(share) < letters else box.name[: max(letters, 0)]
    label = f'<text x="{left + 2:.1f}" y="{top + 12}">{escape(shown)}</text>' if letters > 2 else ""
    return (
        f'<g><title>{escape(box.name)} ({escape(box.file)}): {share}</title><rect class="{owner(box.file)}" '
        f'x="{left:.1f}" y="{top}" width="{max(width - 0.5, 0.5):.1f}" height="{ROW - 1}"/>{label}</g>'
    )


def owner(file: str) -> str:
    return next((kind for beginning, kind in OWNERS if file.startswith(beginning)), "other")
