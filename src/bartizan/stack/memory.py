"""Decision 0009: what was freed goes back to the system, for the nine are to live in 300 MB.

A C library keeps the pages of what was freed, in case they are wanted again: the 19 MiB of each password hash, the
litter of a start, the peak of a rush. Once a minute glibc is asked to return them (0.2 ms when there is little). What
is wanted again costs a page fault; a hash whose pages went in between, 11 ms once a minute at most.

It only reaches the whole of it where all threads share one heap (`MALLOC_ARENA_MAX=1`, `stack/plan.py`): of others the
top is never returned.
"""

from __future__ import annotations

import asyncio
import ctypes
import sys
from collections.abc import Callable

FIRST = 5.0  # seconds: by then a server has started
EVERY = 60.0


async def give_back(trim: Callable[[], object] | None = None, *, first: float = FIRST, every: float = EVERY) -> None:
    """Until it is cancelled. Ends at once where the C library has no such thing (musl, macOS)."""
    trim = trim or _of_glibc()
    if trim is None:
        return
    await asyncio.sleep(first)
    while True:
        trim()
        await asyncio.sleep(every)


def _of_glibc() -> Callable[[], object] | None:
    found = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    return None if found is None else lambda: found(ctypes.c_size_t(0))
