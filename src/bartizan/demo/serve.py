"""How the demo's apps are served: waitress, a small threaded WSGI server, on a Unix socket or a loopback port."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

from flask import Flask
from waitress.server import create_server

THREADS = 4


def server(app: Flask, listen: str) -> Callable[[], None]:
    """Binds at once, so that a taken address is heard of here; gives what serves until the process ends.

    `listen` is "unix:/path/app.sock" or "127.0.0.1:5000".
    """
    options: dict[str, Any] = {"threads": THREADS, "ident": "", "clear_untrusted_proxy_headers": False}
    path = Path(listen.removeprefix("unix:")) if listen.startswith("unix:") else None
    if path is not None:
        path.unlink(missing_ok=True)
        options.update(unix_socket=str(path), unix_socket_perms="600")
    else:
        host, _, port = listen.rpartition(":")
        options.update(host=host or "127.0.0.1", port=int(port))
    run: Callable[[], None] = create_server(app, **options).run  # type: ignore[no-untyped-call] # waitress has no types
    if path is not None:
        _give_to_the_directorys_owner(path)
    return run


def serve(*servers: Callable[[], None]) -> None:
    """All in this process: the last one here, the others in threads that end with it."""
    for run in servers[:-1]:
        Thread(target=run, daemon=True).start()
    servers[-1]()


def _give_to_the_directorys_owner(path: Path) -> None:
    """Started by root: the gateway runs under another user, whose directory this is, and has to connect."""
    owner = path.parent.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.chown(path, owner.st_uid, owner.st_gid)
