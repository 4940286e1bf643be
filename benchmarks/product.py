"""The real product for the benchmark: `bartizan up --config FILE --data DIRECTORY`, as a user starts it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import asyncpg

from bartizan.database.engine import ROLE
from bartizan.database.place import forget, place
from bartizan.protocol.secrets import KeyRing
from bartizan.stack import compile as compiled
from bartizan.stack import effective, engines
from bartizan.stack.effective import Effective
from bartizan.stack.home import Home
from bartizan.stack.supervisor import ask

_START_SECONDS = 60.0
_READY = "Stop with Ctrl-C"

_CONFIG = """\
[site]
name = "Bench"

[auth]
workers = {workers}

[auth.scopes]
"photos.read" = {{ can = "See your photos" }}

[[auth.client]]
id = "bench-app"
kind = "browser"
scopes = ["openid", "profile", "email", "photos.read"]

[[route]]
path = "/api/"
to = "{upstream}"
require = "photos.read"

[[route]]
path = "/"
to = "{upstream}"
public = true

[[host]]
host = "http://plain.localhost:{port}"
to = "{upstream}"
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Site:
    """One copy of the stack, from start to stop."""

    def __init__(self, home: Path, *words: str, port: int | None = None) -> None:
        """`words`: more of `up`'s own, such as `--demo`; without any the benchmark's file is used."""
        self.data = home / "data"
        self.port = port or free_port()
        self._words = words
        self._out = home / "up.out"
        self._process: subprocess.Popen[bytes] | None = None

    def configure(self, upstream: str, workers: int) -> None:
        """The file of the benchmark: one protected route, one public one, one plain host beside them."""
        file = self.data.with_name("bartizan.toml")
        file.write_text(_CONFIG.format(upstream=upstream, port=self.port, workers=workers))
        self._words = ("--config", str(file), *self._words)

    def start(self) -> float:
        """Seconds until it said that it is ready."""
        command = [sys.executable, "-P", "-m", "bartizan.stack.cli", "up", *self._words]
        begun = time.monotonic()
        with self._out.open("wb") as out:
            self._process = subprocess.Popen(
                [*command, "--data", str(self.data), "--port", str(self.port)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                start_new_session=True, cwd=self.data.parent, env=os.environ | {"NO_COLOR": "1"},
            )  # fmt: skip
        while _READY not in self._out.read_text():
            if self._process.poll() is not None or time.monotonic() - begun > _START_SECONDS:
                self.stop()
                raise RuntimeError(f"`bartizan up` did not get ready:\n{self._out.read_text()}")
            time.sleep(0.005)  # it tells its reader nothing but text
        return time.monotonic() - begun

    def stop(self) -> None:
        """As Ctrl-C does."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def forget(self) -> None:
        """What root's engines keep outside of the data directory goes too."""
        forget(self.data)

    def let_checkpoint(self) -> None:
        """While it is stopped: its own role may ask for a checkpoint from then on. No setting changes."""
        at = self.at()
        sockets = Path(at.sockets)
        sockets.mkdir(mode=0o700, exist_ok=True)
        needed = engines.needed(embedded_database=True, embedded_cache=False, gateway=False)
        cluster = engines.postgres(at, place(self.data, sockets, needed))
        cluster.single_user(f"GRANT pg_checkpoint TO {ROLE};\n")

    @property
    def supervisor(self) -> int:
        assert self._process is not None, "it was started"
        return self._process.pid

    def status(self) -> dict[str, Any]:
        found = ask(Home(self.data).sockets())
        if found is None:
            raise RuntimeError("the stack does not answer")
        return found

    def pids(self, *servers: str) -> list[int]:
        """Of these of the nine; a process that is several of them comes once."""
        rows = {row["name"]: row["pids"] for row in self.status()["servers"]}
        return sorted({pid for server in servers for pid in rows[server]})

    def at(self) -> Effective:
        return effective.read(self.data / "effective.json")

    def ring(self) -> KeyRing:
        return effective.ring(self.at())

    def database_url(self) -> str:
        return compiled.database_url(self.at())

    async def connect(self) -> Any:
        return await asyncpg.connect(self.database_url(), command_timeout=600)  # type: ignore[no-untyped-call] # it has no types
