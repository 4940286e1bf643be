"""CPU and memory of whole process trees, from /proc. Linux alone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
_NICE = 16
_PSS = re.compile(rb"^Pss:\s+(\d+) kB", re.MULTILINE)


def trees(roots: Iterable[int], proc: Path = PROC) -> set[int]:
    """The roots and all below them."""
    below: dict[int, list[int]] = {}
    for entry in proc.iterdir():
        if entry.name.isdigit():
            words = _stat(entry)
            if words:
                below.setdefault(int(words[1]), []).append(int(entry.name))
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += below.get(pid, ())
    return found


def cpu_seconds(roots: Iterable[int], proc: Path = PROC) -> float:
    """Of all threads by the scheduler's own clock, and of children that have ended and were waited for.

    A child that ends between two calls leaves the first sum and enters the second one as its parent's, whole: so
    differences are right.
    """
    return sum(_threads(proc / str(pid)) + _ended_children(proc / str(pid)) for pid in trees(roots, proc))


def stepped_back_seconds(roots: Iterable[int], proc: Path = PROC) -> float:
    """CPU of those threads alone that let others go first, as the ones that hash passwords do (`nice` above the
    process' own)."""
    total = 0.0
    for pid in trees(roots, proc):
        entry = proc / str(pid)
        own = _stat(entry)
        for task in _tasks(entry):
            words = _stat(task)
            if own and words and int(words[_NICE]) > int(own[_NICE]):
                total += _clock(task)
    return total


def pss_bytes(roots: Iterable[int], proc: Path = PROC) -> int:
    """Proportional set size: shared pages by their share, so that sums are true."""
    total = 0
    for pid in trees(roots, proc):
        try:
            found = _PSS.search((proc / str(pid) / "smaps_rollup").read_bytes())
        except OSError:
            continue
        total += int(found[1]) * 1024 if found else 0
    return total


def _threads(entry: Path) -> float:
    return sum(_clock(task) for task in _tasks(entry))


def _tasks(entry: Path) -> list[Path]:
    try:
        return [*(entry / "task").iterdir()]
    except OSError:
        return []


def _clock(task: Path) -> float:
    """A thread that ends meanwhile took nothing worth telling."""
    try:
        return int((task / "schedstat").read_bytes().split()[0]) / 1e9
    except (OSError, IndexError):
        return 0.0


def _ended_children(entry: Path) -> float:
    words = _stat(entry)
    return (int(words[13]) + int(words[14])) / os.sysconf("SC_CLK_TCK") if words else 0.0


def _stat(entry: Path) -> list[str]:
    """The fields after the name, which may hold anything: state is 0, parent 1, cutime 13, cstime 14, nice 16."""
    try:
        return (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
