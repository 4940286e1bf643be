"""Logs are bounded in size and in age."""

from __future__ import annotations

import os
import time
from pathlib import Path

from bartizan.stack import logs


def test_a_start_begins_a_new_file(tmp_path: Path) -> None:
    for word in (b"first\n", b"second\n"):
        log = logs.LogFile(tmp_path / "web.log")
        log.write(word)
        log.close()
    assert (tmp_path / "web.log").read_bytes() == b"second\n"
    assert (tmp_path / "web.log.1").read_bytes() == b"first\n"


def test_a_full_file_turns_and_the_oldest_goes(tmp_path: Path) -> None:
    log = logs.LogFile(tmp_path / "web.log")
    for _ in range(logs.KEPT + 3):
        log.write(b"x" * (logs.LARGEST - 10))
    log.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "web.log",
        *(f"web.log.{number}" for number in range(1, logs.KEPT + 1)),
    ]


def test_nothing_older_than_its_time_is_left(tmp_path: Path) -> None:
    log = logs.LogFile(tmp_path / "web.log")
    log.write(b"a line with a masked network\n")
    old = tmp_path / "web.log.1"
    old.write_bytes(b"old\n")
    month = 30 * 86_400
    os.utime(old, (0, time.time() - month + logs.LONGEST + 60))
    logs.forget(tmp_path, month)
    assert old.exists()
    assert (tmp_path / "web.log").stat().st_size > 0
    logs.forget(tmp_path, month, now=time.time() + 31 * 86_400)
    assert not old.exists()
    assert (tmp_path / "web.log").read_bytes() == b""
    log.write(b"new\n")
    log.close()
    assert (tmp_path / "web.log").read_bytes() == b"new\n"
