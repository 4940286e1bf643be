"""Draws the pictures of docs/architecture.md from what is true: the floor table of pyproject.toml and the Route tables.

python docs/draw.py          rewrite them
python docs/draw.py --check  say whether they are current (a test runs this)
"""

from __future__ import annotations

import re
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from bartizan.stack.inspect import route_rows

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "architecture.md"


def floors() -> str:
    """Mermaid: the layers contract, top to bottom."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    lines = ["```mermaid", "flowchart TB"]
    names = []
    for number, layer in enumerate(reversed(layers)):
        rooms = [room.strip() for room in layer.split("|") if not room.strip().startswith("(")]
        names.append(f"f{number}")
        lines.append(f'  subgraph f{number}["floor {number}"]')
        lines.append("    direction LR")
        lines += [f'    {room}["{room}/"]' for room in rooms]
        lines.append("  end")
    lines += [
        f"  {upper} --> {lower}" for upper, lower in zip(reversed(names), list(reversed(names))[1:], strict=False)
    ]
    return "\n".join([*lines, "```"])


def routes() -> str:
    """A Markdown table of our own servers' rows, as the gateway compiles them."""
    with tempfile.TemporaryDirectory() as nowhere:
        rows: list[dict[str, Any]] = route_rows(None, Path(nowhere) / "data")
    lines = ["| Origin | Methods | Path | Server | Who | Limit |", "|---|---|---|---|---|---|"]
    for row in sorted(rows, key=lambda row: (row["origin"], row["server"], row["path"], row["methods"])):
        if row["server"] in ("auth", "frontend", "files", "inbox"):
            methods = " ".join(row["methods"])
            lines.append(
                f"| {row['origin']} | {methods} | `{row['path']}` | {row['server']} | {row['who']} | {row['limit']} |"
            )
    return "\n".join(lines)


def drawn(text: str) -> str:
    """The page with its pictures made anew."""
    for name, picture in (("floors", floors()), ("routes", routes())):
        pattern = re.compile(rf"(<!-- {name}: [^\n]*-->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text, found = pattern.subn(lambda match, picture=picture: f"{match[1]}{picture}\n{match[2]}", text)  # type: ignore[misc]
        if found != 1:
            raise SystemExit(f"{PAGE.name} has no place for the {name}.")
    return text


def main() -> None:
    before = PAGE.read_text()
    after = drawn(before)
    if "--check" in sys.argv:
        if before != after:
            raise SystemExit("docs/architecture.md is not current: run python docs/draw.py")
        return
    PAGE.write_text(after)


if __name__ == "__main__":
    main()
