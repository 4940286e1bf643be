"""A real connection on a real socket, cut in the middle of an upload: nothing is left, in the database or on disk."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
import uvicorn
from tests.engine.files.drawer import Drawer, Person, picture

pytestmark = pytest.mark.engine

SENT = picture("PNG", (600, 600)) + bytes(300_000)


async def _cut(drawer: Drawer, socket: Path, head: bytes, body: bytes) -> None:
    server = uvicorn.Server(uvicorn.Config(drawer.app, uds=str(socket), http="httptools", ws="none", log_config=None))
    running = asyncio.create_task(server.serve())
    try:
        deadline = time.monotonic() + 10
        while not server.started:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        _, writer = await asyncio.open_unix_connection(str(socket))
        writer.write(head + body)
        await writer.drain()
        while not any((drawer.folder / "half").glob("*")):  # the upload is under way
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        writer.transport.abort()
        while server.server_state.tasks:
            assert time.monotonic() < deadline, "the server did not notice"
            await asyncio.sleep(0.01)
    finally:
        server.should_exit = True
        await running


def _head(drawer: Drawer, ada: Person, *lines: str) -> bytes:
    named = {**drawer.headers(ada), "Host": "app.localhost:8080", "Content-Type": "image/png", "X-File-Name": "a.png"}
    sent = [f"{name}: {value}" for name, value in named.items()]
    return "\r\n".join(["POST /files HTTP/1.1", *sent, *lines, "", ""]).encode()


@pytest.mark.parametrize("share", [0, 1, 100_000, len(SENT) - 1])
def test_an_announced_length_that_does_not_come(database_url: str, tmp_path: Path, share: int) -> None:
    with Drawer(database_url, tmp_path / "files") as drawer:
        ada = drawer.person()
        head = _head(drawer, ada, f"Content-Length: {len(SENT)}")
        drawer.loop.run_until_complete(_cut(drawer, tmp_path / "s", head, SENT[:share]))
        assert (drawer.used(ada), drawer.on_disk()) == (0, [])


def test_chunks_without_an_end(database_url: str, tmp_path: Path) -> None:
    whole = picture("PNG", (600, 600))
    with Drawer(database_url, tmp_path / "files") as drawer:
        ada = drawer.person()
        body = f"{len(whole):x}\r\n".encode() + whole + b"\r\n"
        head = _head(drawer, ada, "Transfer-Encoding: chunked")
        drawer.loop.run_until_complete(_cut(drawer, tmp_path / "s", head, body))
        assert (drawer.used(ada), drawer.on_disk()) == (0, [])
