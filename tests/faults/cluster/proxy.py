"""A way between a node and PostgreSQL that can be slow, silent or cut. One thread, Unix sockets on both sides."""

from __future__ import annotations

import asyncio
import re
import threading
from contextlib import suppress
from pathlib import Path

_NAME = ".s.PGSQL.5432"
_CHUNK = 65_536


class Proxy:
    """`delay`: seconds that each piece from the node waits. `silent`: nothing passes any more, new connections
    included, and nobody is told."""

    def __init__(self, directory: Path, url: str) -> None:
        found = re.search(r"host=([^&]+)", url)
        assert found is not None, url
        directory.mkdir()
        self._directory = directory
        self._to = f"{found[1]}/{_NAME}"
        self.url = url.replace(f"host={found[1]}", f"host={directory}")
        self.delay = 0.0
        self.silent = False
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready = threading.Event()

    def start(self) -> Proxy:
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)

    def cut(self) -> None:
        """Every connection that is open breaks."""
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        for writer in self._open:
            writer.close()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        server = await asyncio.start_unix_server(self._accept, self._directory / _NAME)
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._pass(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there: asyncio.StreamWriter | None = None
        self._open.add(writer)
        try:
            answers, there = await asyncio.open_unix_connection(self._to)
            self._open.add(there)
            await asyncio.gather(self._pump(reader, there, slow=True), self._pump(answers, writer, slow=False))
        except OSError:
            pass  # the server is away: so is the way to it
        finally:
            for one in (writer, there):
                if one is not None:
                    self._open.discard(one)
                    one.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, slow: bool) -> None:
        with suppress(OSError):
            while piece := await reader.read(_CHUNK):
                if slow and self.delay:
                    await asyncio.sleep(self.delay)
                if not self.silent:
                    writer.write(piece)
                    await writer.drain()
        writer.close()
