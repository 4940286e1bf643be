"""Design §1, decision 0010: the frontend calls an auth server in its process, and dials one that is elsewhere."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from starlette.types import Receive, Scope, Send

from bartizan.frontend.way import Way
from bartizan.frontend.way_inside import Inside
from bartizan.frontend.way_outside import Outside
from bartizan.stack import parts, wiring
from bartizan.stack.effective import Effective
from bartizan.stack.schema import Config


async def _auth(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("nobody asks here")


def test_called_where_it_is(tmp_path: Path) -> None:
    async def ways() -> tuple[Way, Way]:
        at = Effective(config=Config(), data=str(tmp_path), sockets="/s", engines=str(tmp_path), base=str(tmp_path))
        handed = await parts.idle(at)
        try:
            return wiring.frontend_ports(handed, _auth).way, wiring.frontend_ports(handed).way
        finally:
            await handed.close()

    here, elsewhere = asyncio.run(ways())
    assert isinstance(here, Inside)
    assert isinstance(elsewhere, Outside)


def test_auth_is_built_before_whom_it_is_handed_to() -> None:
    order = list(wiring.BUILDERS)
    assert order.index("auth") < order.index("frontend")


def test_a_process_that_calls_pays_for_no_http_client() -> None:
    script = "import sys, bartizan.frontend.app, bartizan.frontend.way_inside; sys.exit('httpx2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
