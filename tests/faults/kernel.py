"""What the kernel says of one process: its memory, its descriptors, its threads. Linux's /proc."""

from __future__ import annotations

import re
from pathlib import Path

_KB = 1024


def resident(pid: int) -> int:
    """Bytes, now."""
    return _status(pid, "VmRSS") * _KB


def most_resident(pid: int) -> int:
    """Bytes, the most there ever were."""
    return _status(pid, "VmHWM") * _KB


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def _status(pid: int, field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None, f"the kernel says no {field}"
    return int(found[1])
