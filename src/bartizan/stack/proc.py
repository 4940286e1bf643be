"""What the kernel says of a process tree: pids and memory, for `status`. Linux; elsewhere the figures are absent."""

from __future__ import annotations

import os
import re
from pathlib import Path

_PSS = re.compile(rb"^Pss:\s+(\d+) kB", re.MULTILINE)


def tree(roots: list[int]) -> dict[int, list[int]]:
    """Each root → itself and all below it (PostgreSQL's backends)."""
    below: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir() if Path("/proc").is_dir() else ():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError, ValueError):
                continue
            below.setdefault(parent, []).append(int(entry.name))
    found: dict[int, list[int]] = {}
    for root in roots:
        found[root] = [root]
        for pid in found[root]:
            found[root] += sorted(below.get(pid, ()))
    return found


def pss(pids: list[int]) -> int:
    """Proportional set size in bytes: shared pages count by their share, so that sums are true."""
    total = 0
    for pid in pids:
        try:
            found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_bytes())
        except OSError:
            continue
        total += int(found[1]) * 1024 if found else 0
    return total


def cores() -> int:
    """How many this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def age() -> float:
    """Seconds since this process was started, the interpreter's own start included."""
    import time

    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError):
        return time.process_time()
