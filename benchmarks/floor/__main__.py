"""`python -m benchmarks.floor SOCKET`, BENCH_DATABASE_URL set and BENCH_SCALAR (its key).

All floors behind one Unix socket, until SIGTERM.
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import uvloop

from bartizan.stack.listen import Door, listen, stop_on_signals
from benchmarks.floor.app import Floor
from benchmarks.floor.connections import Connections


async def serve(socket: Path, url: str, scalar: int) -> None:
    stop = stop_on_signals()
    connections = Connections()
    await connections.open(url)
    gc.freeze()  # as the product's servers do
    await listen((Door(Floor(connections, scalar), socket),), stop, None)


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]), os.environ["BENCH_DATABASE_URL"], int(os.environ["BENCH_SCALAR"])))
