"""Story 11: what a person is told when it cannot start, and that a refusal changes nothing."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.stack import Stack, free_port

pytestmark = pytest.mark.stack


def refused(data: Path, *words: str, **more: Any) -> str:
    """What `up` says when it does not start. Clear means: one sentence or two, no traceback, exit code 1."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "bartizan.stack.cli", "up", "--data", str(data), *words],
        capture_output=True, text=True, timeout=60, check=False, **more,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    said: str = done.stderr
    return said.strip()


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        said = refused(tmp_path / "data", "--port", str(port))
    assert said == f"Port {port} is in use by another program. Stop that, or choose another port with --port."


def test_a_broken_config(tmp_path: Path) -> None:
    file = tmp_path / "bartizan.toml"
    file.write_text('[site]\nnam = "x"\n\n[auth]\naccess_token_lifetime = "soon"\n')
    said = refused(tmp_path / "data", "--config", str(file)).splitlines()
    assert said[0] == f"{file}:2: site.nam: there is no such key; did you mean name?"
    assert said[1].startswith(f"{file}:5: auth.access_token_lifetime: write a time")
    assert not (tmp_path / "data").exists(), "a broken file changes nothing"


def test_a_second_start_on_the_same_data(stack: Stack) -> None:
    said = refused(stack.data, "--demo", "--port", str(free_port()))
    assert "already runs" in said
    assert str(stack.pid) in said
    assert stack.status()["ready"]


def test_a_data_directory_of_a_newer_release(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "format").write_text("999\n")
    assert "was made by a newer Bartizan" in refused(data)


def test_a_directory_that_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    assert "holds files that are not Bartizan's" in refused(tmp_path)


def test_a_full_disk(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("needs root to make a small disk")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("this machine does not let a test make a small disk")
    try:
        data = small / "data"
        data.mkdir(mode=0o700)
        filler = small / "filler"
        with filler.open("wb", buffering=0) as out:
            try:
                while out.write(b"x" * 4096):
                    pass
            except OSError:
                pass
        assert "is full. Free some space" in refused(data)
    finally:
        subprocess.run(["umount", str(small)], check=True)
