"""ASGI lifespan with nothing in it: what a server needs is built before it is mounted. uvicorn still asks."""

from __future__ import annotations

from starlette.types import Receive, Send


async def nothing_to_start(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
