"""`python -m benchmarks.floor.upstream PORT`: answers everything with 1 KB. The app behind the gateway, kept lean."""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import uvloop

_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 1024\r\n\r\n" + b"x" * 1024
_END = b"\r\n\r\n"


class Kilobyte(asyncio.Protocol):
    """Requests without bodies, as the rows send them."""

    def __init__(self) -> None:
        self._rest = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's own class, which has all of it

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None, "data comes after the connection"
        whole = self._rest + data
        count = whole.count(_END)
        self._rest = whole[whole.rfind(_END) + len(_END) :] if count else whole
        if count:
            self._transport.write(_ANSWER * count)


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Kilobyte, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
