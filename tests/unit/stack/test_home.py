"""Data directory and socket directory: whose they are, who holds them, what an earlier run left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bartizan.stack import reset
from bartizan.stack.home import FORMAT, Home, Mark, Run, Trouble, alive, boot_id, make_sockets, started, write
from bartizan.stack.leftovers import settle


def test_it_is_made_0700_and_opened_again(tmp_path: Path) -> None:
    home = Home(tmp_path / "deep" / "data")
    assert not home.exists()
    home.open()
    home.open()
    assert home.exists()
    assert home.data.stat().st_mode & 0o777 == 0o700


def test_one_made_by_a_newer_release_is_refused(tmp_path: Path) -> None:
    home = Home(tmp_path)
    (tmp_path / "format").write_text(f"{FORMAT + 1}\n")
    with pytest.raises(Trouble, match="newer Bartizan"):
        home.open()


def test_a_directory_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(Trouble, match="not Bartizan's"):
        Home(tmp_path).open()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["thesis.txt"]


def test_a_directory_that_was_given_another_nodes_ring_is_taken(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "ring").write_text("20261124 x\n")
    home = Home(tmp_path)
    home.open()
    assert home.exists()
    assert home.path("keys", "ring").read_text() == "20261124 x\n"


@pytest.mark.parametrize("there", ["keys", "keys/id_ed25519", "ring"])
def test_a_directory_of_other_keys_is_refused(there: str, tmp_path: Path) -> None:
    path = tmp_path / there
    path.parent.mkdir(exist_ok=True)
    path.write_text("x")
    with pytest.raises(Trouble, match="not Bartizan's"):
        Home(tmp_path).open()
    assert path.read_text() == "x"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a directory away")
def test_one_of_another_user_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    os.chown(data, 12345, 12345)
    with pytest.raises(Trouble, match="belongs to user 12345"):
        Home(data).open()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a directory away")
def test_reset_follows_nothing_in_a_directory_of_another_user(tmp_path: Path) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    data.mkdir()
    (data / "format").write_text(f"{FORMAT}\n")
    (data / "lock").symlink_to(elsewhere)
    os.chown(data, 12345, 12345)
    with pytest.raises(Trouble, match="belongs to user 12345"):
        reset.look(data)
    assert not elsewhere.exists()


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    home, elsewhere = Home(tmp_path / "data"), tmp_path / "elsewhere"
    home.open()
    home.path("lock").symlink_to(elsewhere)
    with pytest.raises(Trouble, match="cannot be opened"):
        home.lock()
    assert not home.held()
    assert not elsewhere.exists()


def test_a_second_run_is_told_who_holds_it(tmp_path: Path) -> None:
    first, second = Home(tmp_path), Home(tmp_path)
    first.open()
    first.lock()
    me = Mark("supervisor", os.getpid(), started(os.getpid()) or 0)
    first.write_run(Run(supervisor=me, boot=boot_id(), sockets="/tmp/x", app="http://app.localhost:1"))
    assert second.held()
    with pytest.raises(Trouble, match=rf"already runs.*{os.getpid()}.*app\.localhost:1"):
        second.lock()
    first.unlock()
    assert not second.held()
    second.lock()
    second.unlock()


def test_sockets_are_short_ours_and_differ_by_data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    one, other = Home(tmp_path / "a").sockets(), Home(tmp_path / "b").sockets()
    assert one != other
    assert len(str(one / "status-monitoring.sock")) <= 107
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/nonexistent")
    assert Home(tmp_path / "a").sockets().name.startswith(f"bz-{os.geteuid()}-")


def test_a_socket_directory_that_another_made_first_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(Trouble, match="Delete it"):
        make_sockets(tmp_path / "link")
    make_sockets(tmp_path / "fresh")
    assert (tmp_path / "fresh").stat().st_mode & 0o777 == 0o700


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)


def test_what_a_killed_run_left_is_stopped_by_pid_and_start_time(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.open()
    ours, stranger = sleeper(), sleeper()
    try:
        marks = (
            Mark("web", ours.pid, started(ours.pid) or 0),
            Mark("work", stranger.pid, 1),  # the pid was reused: another start time
            Mark("demo", 2**22 + 1, 5),
        )
        me = Mark("supervisor", 2**22 + 2, 5)
        home.write_run(Run(supervisor=me, boot=boot_id(), sockets="/x", app="", children=marks))
        assert "left 1 of its servers" in settle(home)
        assert ours.wait(5) == -signal.SIGTERM
        assert stranger.poll() is None
        assert home.run() is None
        assert settle(home) == ""
    finally:
        for process in (ours, stranger):
            process.kill()
            process.wait()


def test_marks_of_an_earlier_boot_touch_nobody(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.open()
    process = sleeper()
    try:
        mark = Mark("web", process.pid, started(process.pid) or 0)
        home.write_run(Run(supervisor=mark, boot="another", sockets="/x", app="", children=(mark,)))
        assert "without stopping cleanly" in settle(home)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    assert not alive(mark)


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(Trouble, match=r"is full\. Free some space"):
        write(tmp_path / "x", b"y")
