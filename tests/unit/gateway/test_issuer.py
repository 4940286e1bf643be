"""The agent asks the next worker when one does not answer, and begins with who answered last."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.unit.gateway.test_compiler import SETTINGS

from bartizan.gateway.issuer import JWKS_PATH, Issuer


class Worker(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    asked = 0
    status = 200


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Worker)
        self.server.asked += 1
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(b'{"keys": []}')

    def address_string(self) -> str:
        return ""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Worker]:
    with Worker(str(tmp_path / "auth-2.sock"), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def issuer(directory: Path) -> Issuer:
    others = (f"unix:{directory}/auth-2.sock",)
    return Issuer(replace(SETTINGS, auth_address=f"unix:{directory}/auth.sock", auth_others=others))


def test_the_first_is_gone_and_the_second_answers(tmp_path: Path, second: Worker) -> None:
    asking = issuer(tmp_path)
    assert asking(JWKS_PATH, 1.0) == b'{"keys": []}'
    with Worker(str(tmp_path / "auth.sock"), Answer) as first:
        assert asking(JWKS_PATH, 1.0)
        assert (first.asked, second.asked) == (0, 2), "who answered last is asked first"


def test_none_answers(tmp_path: Path, second: Worker) -> None:
    second.status = 503
    with pytest.raises(OSError, match="503"):
        issuer(tmp_path)(JWKS_PATH, 1.0)
