"""How results are shown: one table for people, one file for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from benchmarks.figures import Result
from benchmarks.options import Options

RESULTS = Path(__file__).parent / "results"
_HEADS = ("row", "req/s", "p50 ms", "p99 ms", "CPU ms", "server", "database", "floor", "bar", "bad", "")


def heading(machine: dict[str, object], options: Options) -> str:
    """What the figures hang on."""
    probed = f"{machine['ecdsa_p256_signs_per_second']} ES256 signs/s"
    if "durable_commits_per_second" in machine:
        probed += f", {machine['durable_commits_per_second']} durable commits/s one after the other"
    return (
        f"{machine['cpu']}, {machine['cores']} cores, load before {machine['load_before']}; {probed};"
        f" {options.connections} connections, {options.families:,} families, {options.users:,} users,"
        f" {options.clients:,} clients, {options.seconds:g} s a row, workers: {options.workers}"
    )


def as_table(results: Sequence[Result]) -> str:
    lines = [_HEADS, *(_cells(result) for result in results)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(_HEADS))]
    shown = []
    for line in lines:
        first = line[0].ljust(widths[0])
        figures = [cell.rjust(width) for cell, width in zip(line[1:-1], widths[1:-1], strict=True)]
        shown.append("  ".join([first, *figures, line[-1]]).rstrip())
    return "\n".join(shown)


def _cells(result: Result) -> tuple[str, ...]:
    row = result.row
    return (
        row.name, _number(row.rps, 0), _number(row.p50_ms, 2), _number(row.p99_ms, 2), _number(row.cpu_ms, 3),
        _number(row.cpu_server_ms, 3), _number(row.cpu_database_ms, 3), _number(row.floor_cpu_ms, 3),
        "" if row.bar is None else f"{row.bar:g}", str(row.bad), _verdict(result),
    )  # fmt: skip


def _verdict(result: Result) -> str:
    """A missed bar stands there as such."""
    words = [f"VOID: {result.void}"] if result.void else ["MISSED"] if result.met is False else []
    if result.met and not result.void:
        words.append("met")
    if "said" in result.beside:
        words.append(str(result.beside["said"]))
    return "; ".join([*words, *result.marks])


def _number(value: float | None, places: int) -> str:
    return "" if value is None or (value == 0 and places) else f"{value:.{places}f}"


def write(machine: dict[str, object], results: Sequence[Result], stem: str) -> Path:
    """`{"machine": …, "rows": […]}`. What is told beside a row stands under machine, so that rows have one shape."""
    beside = {
        result.row.name: {"met": result.met, "void": result.void, "marks": result.marks, **result.beside}
        for result in results
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{stem}.json"
    content = {"machine": machine | {"beside": beside}, "rows": [result.row for result in results]}
    path.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")
    return path


def stem() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H%M%SZ")
