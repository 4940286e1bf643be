"""Waiting for what another task or process does, up to a bar."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any


async def until(true: Callable[[], bool] | Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while True:
        value: Any = true()
        if (await value) if asyncio.iscoroutine(value) else value:
            return
        assert time.monotonic() < deadline, "did not come true"
        await asyncio.sleep(0.02)
