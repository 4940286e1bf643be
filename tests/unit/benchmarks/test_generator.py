"""The generator against a server of this test: it counts what was good, what was not, and how long it took."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest
from benchmarks.figures import Load
from benchmarks.generator import Generator, Group, ask
from benchmarks.wire import Answer, request

SENT = request("GET", "/", {"host": "x"})


class Server:
    """Answers the n-th request of each connection with the n-th status; 0 cuts it. Then 200 for ever.

    A negative one is the last answer of its connection.
    """

    def __init__(self, path: Path, statuses: tuple[int, ...]) -> None:
        self._statuses = statuses
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        statuses = list(self._statuses)
        with line:
            while line.recv(4096):
                status = statuses.pop(0) if statuses else 200
                if not status:
                    return
                head = b"HTTP/1.1 %d X\r\nretry-after: 1\r\ncontent-length: 2\r\n\r\n" % abs(status)
                line.sendall(head)  # in two pieces, as TCP may
                line.sendall(b"ok")
                if status < 0:
                    return

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("g") / "s.sock"


class Errand:
    fresh = True

    def __init__(self, most: int) -> None:
        self.left = most

    def begin(self) -> bytes:
        return SENT

    def next_request(self, answer: Answer) -> bytes | None:
        if answer.status != 200:
            return None
        self.left -= 1
        return SENT if self.left else b""


class TwoSteps(Errand):
    """A unit is two requests."""

    def begin(self) -> bytes:
        self.fresh = True
        return SENT

    def next_request(self, answer: Answer) -> bytes | None:
        following = super().next_request(answer)
        self.fresh = not self.fresh
        return following


def run(path: Path, *walkers: Errand) -> Load:
    calls: list[str] = []
    (load,) = Generator([Group((path,), walkers)]).run(
        warm_up=0.0, seconds=20.0, opened=lambda: calls.append("opened"), closed=lambda: calls.append("closed")
    )
    assert calls == ["opened", "closed"]
    return load


def test_good_answers_are_counted_and_timed(path: Path) -> None:
    server = Server(path, ())
    load = run(path, Errand(5), Errand(3))
    server.close()
    assert (load.units, load.bad, load.counted) == (8, 0, {"200": 8})
    assert load.latencies == sorted(load.latencies)
    assert min(load.latencies) > 0


def test_another_status_is_bad_and_the_errand_begins_again(path: Path) -> None:
    server = Server(path, (200, 500))
    load = run(path, Errand(4))
    server.close()
    assert (load.units, load.bad, load.counted) == (4, 1, {"200": 4, "500": 1})


def test_a_connection_cut_in_a_request_is_bad_and_dialled_again(path: Path) -> None:
    server = Server(path, (200, 200, 0))
    load = run(path, Errand(4))
    server.close()
    assert (load.units, load.bad) == (4, 1)


def test_a_connection_closed_in_a_pause_is_dialled_again_and_nothing_is_bad(path: Path) -> None:
    class Slow(Errand):
        pause = 0.05

    server = Server(path, (200, -200))
    load = run(path, Slow(6))
    server.close()
    assert (load.units, load.bad) == (6, 0)


def test_a_flow_of_two_requests_is_one_unit(path: Path) -> None:
    server = Server(path, ())
    load = run(path, TwoSteps(6))
    server.close()
    assert (load.units, load.counted) == (3, {"200": 6})


def test_one_question_alone(path: Path) -> None:
    server = Server(path, (503,))
    answer = ask(path, SENT)
    server.close()
    assert (answer.status, answer.header(b"retry-after"), answer.body) == (503, b"1", b"ok")
