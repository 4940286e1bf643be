"""How the command line shows values: JSON for scripts, plain columns for people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

_LEFT_OUT = ("created_at", "expires_at", "redirect_uris", "grants", "first_party")  # of tables; --json has them


def as_json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def as_table(value: Any) -> str:
    """A list: columns. One thing: a line a key."""
    if isinstance(value, dict):
        wide = max((len(name) for name in value), default=0)
        return "\n".join(f"{name:<{wide}}  {_cell(entry)}" for name, entry in value.items())
    rows = list(value)
    if not rows:
        return "None."
    names = [name for name in rows[0] if name not in _LEFT_OUT]
    cells = [[_cell(row.get(name)) for name in names] for row in rows]
    widths = [max(len(name), *(len(line[at]) for line in cells)) for at, name in enumerate(names)]
    lines = [[name.replace("_", " ") for name in names], *cells]
    return "\n".join("  ".join(f"{cell:<{w}}" for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def status_lines(found: dict[str, Any] | None, data: Path) -> str:
    if found is None:
        return f"Nothing runs in {data}. Start it with: bartizan up --data {data}"
    state = f"Ready in {found['ready_seconds']} s." if found["ready"] else "Not ready."
    rows = [
        {
            "server": row["name"],
            "state": "ready" if row["ready"] else "down",
            "pids": row["pids"],
            "memory": f"{row['pss_bytes'] / 1e6:.0f} MB",
            "version": row["version"],
            "address": row["address"],
        }
        for row in found["servers"]
    ]
    processes = [
        {
            "process": row["name"],
            "state": row["state"],
            "servers": row["servers"],
            "pid": row["pid"],
            "memory": f"{row['pss_bytes'] / 1e6:.0f} MB",
        }
        for row in found["processes"]
    ]
    total = sum(row["pss_bytes"] for row in found["servers"])
    urls = "\n".join(f"{name:<10} {url}" for name, url in found["urls"].items())
    return f"{state}\n\n{as_table(rows)}\n\n{as_table(processes)}\n\nIn all {total / 1e6:.0f} MB.\n\n{urls}"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(_cell(entry) for entry in value) or "-"
    if isinstance(value, dict):
        return " ".join(f"{name}={_cell(entry)}" for name, entry in value.items())
    return str(value)
