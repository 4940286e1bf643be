"""The demo's server answers on a Unix socket that only its owner may use."""

from __future__ import annotations

import asyncio
import stat
import tempfile
from pathlib import Path
from threading import Thread

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
