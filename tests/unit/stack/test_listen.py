"""Doors: a port that another holds is one sentence."""

from __future__ import annotations

import asyncio
import socket

import pytest
from starlette.responses import Response

from bartizan.stack.home import Trouble
from bartizan.stack.listen import Door, listen


def test_a_port_that_is_taken_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(Trouble, match=f"127.0.0.1 port {port} cannot be had: Address already in use"):
            asyncio.run(listen((Door(Response("never"), ("127.0.0.1", port)),), asyncio.Event(), None))
