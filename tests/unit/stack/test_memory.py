"""Decision 0009: what a server has freed goes back to the system."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bartizan.stack import memory

# 40 MB in pieces that the C library's heap holds, freed but for every 1,000th, which keeps the heap's end where it is.
HOARDER = """
import asyncio, contextlib, re
from bartizan.stack import memory

def dirty():
    with open("/proc/self/smaps_rollup") as found:
        return int(re.search(r"Private_Dirty:\\s+(\\d+)", found.read())[1])

async def main():
    held = [bytes(8000) for _ in range(5000)]
    full = dirty()
    held = held[::1000]
    freed = dirty()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(memory.give_back(first=0.0), 0.2)
    print(full, freed, dirty())

asyncio.run(main())
"""


def test_once_after_the_start_and_then_again_and_again() -> None:
    async def times(first: float, every: float) -> int:
        trims: list[None] = []
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(memory.give_back(lambda: trims.append(None), first=first, every=every), 0.05)
        return len(trims)

    assert asyncio.run(times(60.0, 60.0)) == 0
    assert asyncio.run(times(0.0, 60.0)) == 1
    assert asyncio.run(times(0.0, 0.001)) > 2


@pytest.mark.skipif(memory._of_glibc() is None, reason="only glibc can be asked")
def test_freed_pages_go_back_to_the_system() -> None:
    source = Path(memory.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", HOARDER], env=os.environ | {"PYTHONPATH": str(source)}, capture_output=True, text=True,
        timeout=30, check=True,
    )  # fmt: skip
    full, freed, after = (int(word) for word in done.stdout.split())
    assert freed > full - 10_000, "a heap that gives back by itself needs none of this"
    assert after < full - 30_000
