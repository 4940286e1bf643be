"""The stack as a user starts it, two workers and a file of its own, with the demo's app behind it as a stranger's.

The app is our child and not the supervisor's, as anybody's app is: we start it again when it dies.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
from tests.fixtures.nodes import SECRET, Node, confidential
from tests.fixtures.stack import Stack, free_port

from bartizan.database.place import forget
from bartizan.protocol.secrets import KeyRing
from bartizan.stack import compile as compiled
from bartizan.stack import effective, proc, workers
from bartizan.stack.effective import Effective
from bartizan.stack.home import Home, Run, alive

# Tokens of a minute: renewals are many, and what was ended leaves its list within the run, which is flat then.
FILE = """
[site]
name = "Soak"

[auth]
access_token_lifetime = "1m"

[auth.scopes]
"photos.read" = {{ can = "See your photos" }}
"photos.write" = {{ can = "Change your photos" }}

[[auth.client]]
id = "app"
kind = "browser"
scopes = ["openid", "profile", "email", "photos.read", "photos.write"]

{others}
[[route]]
path = "/api/"
to = "http://127.0.0.1:{app}"
guard = "flask"

[[route]]
path = "/views/"
to = "http://127.0.0.1:{app}"
guard = "flask"
csrf = "form"

[[route]]
path = "/"
to = "http://127.0.0.1:{app}"
public = true

[files]
read = "photos.read"
write = "photos.write"
"""
WORKERS = ("web", "web-2")
OURS = (*WORKERS, "work", "agent")
SERVERS = (*OURS, "envoy", "database", "cache", "app")


class App:
    """Snapshots and the print shop in one process, started again whenever it ends."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._environment = environment
        self._log = log
        self._over = threading.Event()
        self._process = self._start()
        self._keeper = threading.Thread(target=self._keep, name="the app's keeper")
        self._keeper.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as out:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "bartizan.demo"], env=self._environment, stdin=subprocess.DEVNULL,
                stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip

    def _keep(self) -> None:
        while True:
            self._process.wait()
            if self._over.wait(0.1):
                return
            self._process = self._start()

    def stop(self) -> None:
        self._over.set()
        self._process.send_signal(signal.SIGCONT)
        self._process.kill()
        self._keeper.join(10)


class House:
    """`url`, `app` and `ring` are what plants grants here (tests.fixtures.nodes.House)."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.data = base / "data"
        self.port = free_port()
        self._app_port = free_port()
        secret, file = base / "client-secret", base / "bartizan.toml"
        secret.write_text(SECRET)
        file.write_text(FILE.format(others=confidential(secret), app=self._app_port))
        self.stack = Stack(self.data, "--config", str(file), "--workers", str(len(WORKERS)), port=self.port)
        self.app = f"http://app.localhost:{self.port}"
        self.id = f"http://id.localhost:{self.port}"
        self.files = f"http://files.localhost:{self.port}"
        self._app: App | None = None
        self.logs: list[Path] = [base / "app.log", base / "data.out"]

    def start(self) -> None:
        self._app = App(self._environment(), self.base / "app.log")
        self.stack.start()
        self.at: Effective = effective.read(self.data / "effective.json")
        self.url = compiled.database_url(self.at)
        self.doors = [
            self._door(name, path) for name, path in zip(WORKERS, workers.sockets(self.at, "auth"), strict=True)
        ]

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "SNAPSHOTS_LISTEN": f"127.0.0.1:{self._app_port}", "SNAPSHOTS_ISSUER": self.id,
            "SNAPSHOTS_APP_ORIGIN": self.app, "SNAPSHOTS_DATA": str(self.base / "snapshots"),
            "PRINTSHOP_LISTEN": f"127.0.0.1:{free_port()}",
            "PRINTSHOP_ORIGIN": "http://print.localhost:1", "PRINTSHOP_ISSUER": self.id, "PRINTSHOP_API": self.app,
            "PRINTSHOP_CLIENT_SECRET": SECRET,
        }  # fmt: skip

    def _door(self, name: str, path: Path) -> Node:
        """A worker as the walks over Unix sockets know one: its sockets below a directory, by their plain names."""
        below = self.base / f"door-{name}"
        below.mkdir()
        (below / "auth.sock").symlink_to(path)
        (below / f"status-{name}.sock").symlink_to(self.at.socket(f"status-{name}.sock"))
        return Node(self.data / "effective.json", below, name, ("auth",))

    def ring(self) -> KeyRing:
        return effective.ring(self.at)

    def run(self) -> Run | None:
        return Home(self.data).run()

    def pid(self, server: str) -> int | None:
        """Of the process that it is; None while it is down."""
        if server == "app":
            return None if self._app is None else self._app.pid
        if server == "supervisor":
            return self.stack.pid
        run = self.run()
        return next((one.pid for one in run.children if one.name == server and alive(one)), None) if run else None

    def pids(self, server: str) -> list[int]:
        """With all below it: PostgreSQL's backends."""
        root = self.pid(server)
        return [] if root is None else proc.tree([root])[root]

    def send(self, server: str, number: int, *, below: bool = False) -> bool:
        sent = False
        for pid in self.pids(server) if below else [self.pid(server)]:
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
                    sent = True
        return sent

    async def connect(self) -> Any:
        return await asyncpg.connect(self.url, timeout=5, command_timeout=60)  # type: ignore[no-untyped-call]  # theirs

    def all_pids(self) -> set[int]:
        roots = [self.stack.pid, *([self._app.pid] if self._app else [])]
        return {pid for tree in proc.tree(roots).values() for pid in tree}

    def stop(self) -> None:
        """Leaves no process: what the supervisor did not stop is killed by its number."""
        left = self.all_pids() if self._app is not None else set()
        try:
            self.stack.stop()
        except subprocess.TimeoutExpired:
            self.stack.kill()
        if self._app is not None:
            self._app.stop()
        for pid in left:
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    os.kill(pid, signal.SIGKILL)

    def forget(self) -> None:
        forget(self.data)


@contextlib.contextmanager
def opened(base: Path) -> Iterator[House]:
    house = House(base)
    try:
        house.start()
        yield house
    finally:
        house.stop()
        house.forget()
