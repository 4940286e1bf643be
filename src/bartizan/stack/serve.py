"""`python -m bartizan.stack.serve EFFECTIVE SERVER…`: one process of ours. `up` starts these; `bartizan serve` is this.

Light to import: the heavy rooms come in with `wiring`, for the named servers only.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from bartizan.stack.effective import Effective, read

SERVERS = ("auth", "frontend", "files", "worker", "monitoring", "gateway")


def main(words: list[str]) -> int:
    file, *servers = words
    at = read(Path(file))
    return run(at, tuple(servers), os.environ.get("BARTIZAN_PROCESS", "-".join(servers)))


def run(at: Effective, servers: tuple[str, ...], process: str) -> int:
    from bartizan.monitoring import logs

    logs.configure(process)
    if servers == ("migrate",):
        from bartizan.stack.migrate import migrate

        asyncio.run(migrate(at))
        return 0
    import uvloop

    if servers == ("gateway",):
        from bartizan.stack.agent import serve as beside_envoy

        uvloop.run(beside_envoy(at, process))
        return 0
    from bartizan.stack.wiring import serve

    uvloop.run(serve(at, servers, process))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
