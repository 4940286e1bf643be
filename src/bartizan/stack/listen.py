"""Several ASGI apps in one process and one event loop, each on its own socket (design §1). Stops in a second."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from msgspec import Struct
from starlette.types import ASGIApp

from bartizan.stack.home import Trouble

_GRACE = 0.8  # seconds for what is under way; then it is cut
_BACKLOG = 512


class Door(Struct, frozen=True):
    """An app and where it answers: a Unix socket, or a loopback address and port."""

    app: ASGIApp
    where: Path | tuple[str, int]


class _Server(uvicorn.Server):
    """Signals belong to the process, not to one of its servers; and it sleeps until it is to end, where uvicorn looks
    ten times a second: idle, our doors together would take a third of a hundredth of a core for that."""

    def __init__(self, config: uvicorn.Config, stop: asyncio.Event) -> None:
        super().__init__(config)
        self._stop = stop

    async def main_loop(self) -> None:
        await self.on_tick(0)  # the headers of every answer
        await self._stop.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def listen(doors: tuple[Door, ...], stop: asyncio.Event, owner: int | None) -> None:
    """Answers until `stop` is set. Sockets are 0600; `owner` is who else may connect (root's gateway)."""
    over = asyncio.Event()
    servers = [_Server(_config(door.app), over) for door in doors]
    bound = [_bind(door.where, owner) for door in doors]
    tasks = [asyncio.create_task(server.serve(sockets=[one])) for server, one in zip(servers, bound, strict=True)]
    waiting = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({waiting, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        for server in servers:
            server.should_exit = True
        over.set()
        asyncio.get_running_loop().call_later(_GRACE, _force, servers)
        await asyncio.gather(*tasks)


def stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _force(servers: list[_Server]) -> None:
    logging.getLogger("uvicorn.error").disabled = True  # what is cut while stopping is no defect
    for server in servers:
        server.force_exit = True


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app, loop="none", http="httptools", ws="none", lifespan="off", log_config=None, access_log=False,
        proxy_headers=False, server_header=False, date_header=False, backlog=_BACKLOG, timeout_keep_alive=75,
    )  # fmt: skip


def _bind(where: Path | tuple[str, int], owner: int | None) -> socket.socket:
    if isinstance(where, tuple):
        family = socket.AF_INET6 if ":" in where[0] else socket.AF_INET
        tcp = socket.socket(family)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tcp.bind(where)
        except OSError as wrong:
            tcp.close()
            place = f"{where[0]} port {where[1]}"
            raise Trouble(f"{place} cannot be had: {wrong.strerror}. Stop what holds it, or name another.") from None
        return tcp
    where.unlink(missing_ok=True)  # of a run that was killed
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(where))
    where.chmod(0o600)
    if owner is not None:
        os.chown(where, owner, owner)
    return unix
