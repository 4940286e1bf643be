"""`python -m bartizan.stack.serve EFFECTIVE SERVER…`: one process of ours. `up` starts these; `bartizan serve` is this.

Light to import: the heavy rooms come in with `wiring`, for the named servers only.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from bartizan.stack import memory
from bartizan.stack.effective import Effective, read

SERVERS = ("auth", "frontend", "files", "worker", "monitoring", "gateway")


def main(words: list[str]) -> int:
    lighten()
    file, *servers = words
    at = read(Path(file))
    return run(at, tuple(servers), os.environ.get("BARTIZAN_PROCESS", "-".join(servers)))


def lighten() -> None:
    """Before the imports."""
    # Nothing of them is garbage: not to look for any makes the start a tenth shorter.
    gc.disable()
    # structlog imports rich, where there is one, to draw on terminals; a server writes JSON, and saves 5 MB.
    sys.modules.setdefault("rich", None)  # type: ignore[arg-type]  # None stands for "cannot be imported"


def run(at: Effective, servers: tuple[str, ...], process: str) -> int:
    os.umask(0o077)  # what it writes is nobody else's business; what another may use is opened to them by name
    from bartizan.monitoring import logs

    logs.configure(process)
    if servers == ("migrate",):
        from bartizan.stack.migrate import migrate

        asyncio.run(migrate(at))
        return 0
    import uvloop

    if servers == ("gateway",):
        from bartizan.stack.agent import serve as beside_envoy

        uvloop.run(_settled_in(beside_envoy(at, process)))
        return 0
    from bartizan.stack.wiring import serve

    uvloop.run(_settled_in(serve(at, servers, process)))
    return 0


async def _settled_in(work: Coroutine[Any, Any, None]) -> None:
    """What was imported stays for good: it is never looked at again. What is freed goes back."""
    gc.freeze()
    gc.enable()
    giving_back = asyncio.create_task(memory.give_back())
    try:
        await work
    finally:
        giving_back.cancel()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
