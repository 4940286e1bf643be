"""The demo's server answers on a Unix socket that only its owner may use."""

from __future__ import annotations

import asyncio
import os
import stat
import tempfile
from pathlib import Path
from threading import Thread

import pytest
from flask import Flask

from bartizan.demo.serve import server
from bartizan.monitoring import ask


def test_it_answers_on_a_socket_and_takes_the_place_of_a_dead_one() -> None:
    app = Flask("x")
    app.add_url_rule("/", "home", lambda: "here")
    with tempfile.TemporaryDirectory(prefix="bz") as short:
        path = Path(short) / "app.sock"
        path.touch()
        Thread(target=server(app, f"unix:{path}"), daemon=True).start()
        answer = asyncio.run(ask.get(f"unix:{path}", "/"))
        assert (answer.status, answer.body) == (200, b"here")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a socket away")
def test_roots_socket_belongs_to_whom_the_directory_belongs() -> None:
    """Root's gateway runs under another user and has to connect."""
    with tempfile.TemporaryDirectory(prefix="bz") as short:
        os.chown(short, 54321, 54321)
        Thread(target=server(Flask("x"), f"unix:{short}/app.sock"), daemon=True).start()
        assert Path(short, "app.sock").stat().st_uid == 54321
