"""The verdicts of a soak: a leak is found in ten minutes, and what only trembles is none."""

from __future__ import annotations

import json
import mmap
import os
import random
import socket
import tempfile
import threading
from itertools import islice
from pathlib import Path

import pytest
from tests.soak import plan, watch
from tests.soak.book import Away, Book
from tests.soak.house import SERVERS

from bartizan.gateway.compiler.published import ENDED_FILE

MEGABYTE = 1_000_000.0


def series(minutes: float, a_minute: float, *, size: float = 90 * MEGABYTE, seed: int = 1) -> list[tuple[float, float]]:
    """Readings that tremble by 1 %, a tenth of them by 20 % (a fault, a burst), and grow by this share."""
    dice = random.Random(seed)
    found = []
    for at in range(0, int(minutes * 60), 2):
        trembling = dice.gauss(0, 0.01) + (0.2 if dice.random() < 0.1 else 0.0)
        found.append((float(at), size * (1 + a_minute * at / 60 + trembling)))
    return found


def grows(readings: list[tuple[float, float]]) -> bool:
    verdict = watch.judged("it", readings, MEGABYTE)
    assert verdict is not None
    return verdict.grows


LEAST = watch.FULL + 0.1  # minutes, of what dies last in a run of ten


@pytest.mark.parametrize("seed", range(10))
def test_one_percent_a_minute_is_found_in_what_ten_minutes_watch(seed: int) -> None:
    assert grows(series(LEAST, 0.01, seed=seed))
    assert not grows(series(LEAST, 0.0, seed=seed))


@pytest.mark.parametrize("seed", range(10))
def test_it_is_found_where_a_third_goes_back_once_a_minute_and_comes_again(seed: int) -> None:
    """A web process: 19 MiB are the pages of a password hash, of which a soak makes twenty a minute."""
    dice = random.Random(seed)

    def sawn(a_minute: float) -> list[tuple[float, float]]:
        again = [dice.uniform(0, 10) for _ in range(9)]
        return [
            (at, value - (20 * MEGABYTE if at % 60 < again[int(at // 60)] else 0.0))
            for at, value in series(LEAST, a_minute, seed=seed)
        ]

    assert grows(sawn(0.012))
    assert not grows(sawn(0.0))


def test_what_filled_up_in_its_first_minute_grows_no_more() -> None:
    filled = [(at, value - max(0.0, 1 - at / 60) * 20 * MEGABYTE) for at, value in series(LEAST, 0.0)]
    assert not grows(filled)


def test_a_leak_that_was_recorded_is_found_and_its_twin_is_none() -> None:
    """Two web nodes for five minutes, asked alike twice a second; one of them kept some 2 KB of each `/token`, which is
    1.2 % a minute. As `watch.memory` read them, from `WARM` on, in kilobytes."""
    recorded = json.loads((Path(__file__).parent / "recorded.json").read_text())
    assert grows([(at, 1024.0 * value) for at, value in recorded["leaking"]])
    assert not grows([(at, 1024.0 * value) for at, value in recorded["flat"]])


def test_memory_is_a_processs_own_and_shared_pages_move_nothing(tmp_path: Path) -> None:
    before = watch.memory([os.getpid()])
    own = mmap.mmap(-1, 8_000_000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # not what an allocator had kept
    own[::4096] = b"1" * len(own[::4096])  # each of its pages is there
    with (tmp_path / "file").open("w+b") as file:
        file.write(bytes(16_000_000))
        file.flush()
        with mmap.mmap(file.fileno(), 0) as shared:
            assert sum(shared[::4096]) == 0
            assert 7_000_000 < watch.memory([os.getpid()]) - before < 12_000_000
    own.close()


@pytest.mark.parametrize("seed", range(10))
def test_three_minutes_find_eight_percent_and_call_no_filling_up_a_leak(seed: int) -> None:
    assert grows(series(2.4, 0.08, seed=seed))
    assert not grows(series(2.4, 0.02, seed=seed))


def test_a_small_process_may_take_a_megabyte() -> None:
    assert not grows(series(LEAST, 0.01, size=10 * MEGABYTE))


def test_what_was_watched_too_shortly_has_no_verdict() -> None:
    assert watch.judged("it", series(0.5, 0.1), MEGABYTE) is None


def test_a_plan_kills_everybody_first_and_nobody_later() -> None:
    first = list(islice(plan.planned(7, 600), 80))
    assert first == list(islice(plan.planned(7, 600), 80))
    assert first != list(islice(plan.planned(8, 600), 80))
    killed = {planned.what for at, planned in first if at == plan.QUIET}
    assert {f"kill {name}" for name in SERVERS} <= killed
    later = [planned.what for at, planned in first if at > plan.QUIET]
    assert later
    assert not [what for what in later if what.startswith(("kill", "ring", "restart"))]


def test_an_answer_is_excused_by_a_fault_alone_and_only_so_far() -> None:
    book = Book()
    with pytest.raises(Away):
        book.answer("GET /", 503, retry=True, begun=book.now, expected=(200,))
    assert len(book.wrong["answers"]) == 1
    with book.fault("kill web"), pytest.raises(Away):
        book.answer("GET /", 503, retry=True, begun=book.now, expected=(200,))
    assert len(book.wrong["answers"]) == 1
    with book.fault("kill web"), pytest.raises(Away):
        book.answer("GET /", 500, retry=True, begun=book.now, expected=(200,))
    with book.fault("kill web"), pytest.raises(Away):
        book.answer("GET /", 503, retry=False, begun=book.now, expected=(200,))
    assert len(book.wrong["answers"]) == 3
    book.answer("GET /", 200, retry=False, begun=book.now, expected=(200,))
    assert len(book.wrong["answers"]) == 3


def test_what_envoy_has_is_judged_without_the_list_that_comes_and_goes() -> None:
    with tempfile.TemporaryDirectory(prefix="bz-") as made:
        sockets = Path(made)
        (sockets / "gateway").mkdir()
        (sockets / "gateway" / ENDED_FILE).write_bytes(bytes(100_000))
        assert watch.allocated(sockets) == 0
        with socket.socket(socket.AF_UNIX) as admin:
            admin.bind(str(sockets / "envoy-admin.sock"))
            admin.listen()
            answering = threading.Thread(target=_answer, args=(admin, b'{"allocated": "28000000", "heap_size": "4"}'))
            answering.start()
            assert watch.allocated(sockets) == 28_000_000 - 8 * 100_000
            answering.join(5)


def _answer(admin: socket.socket, body: bytes) -> None:
    line, _ = admin.accept()
    with line:
        line.recv(4096)
        line.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b" % (len(body), body))
