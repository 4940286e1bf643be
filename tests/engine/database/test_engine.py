"""Flows §12: the embedded PostgreSQL is made whole or not at all, as root and as a normal user, and repairs itself."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest
from tests.fixtures.postgres import PostgresServer, new_server

from bartizan.database import engine, place
from bartizan.database.place import EngineTrouble

pytestmark = pytest.mark.engine

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become others")
NEEDS = {engine.DISTRIBUTION: engine.NEEDS}


@pytest.fixture
def base() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="bze-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


async def answer(server: PostgresServer, sql: str) -> object:
    connection: asyncpg.Connection = await asyncpg.connect(server.url())  # type: ignore[no-untyped-call]  # theirs
    try:
        found: object = await connection.fetchval(sql)  # type: ignore[no-untyped-call]  # theirs
        return found
    finally:
        await connection.close()  # type: ignore[no-untyped-call]  # theirs


def works(server: PostgresServer) -> None:
    server.start()
    try:
        assert asyncio.run(answer(server, "SELECT 1")) == 1
    finally:
        server.stop()


def in_a_child(work: Callable[[], None], uid: int | None = None) -> int:
    """Forks; the child becomes `uid` and works. Gives its pid."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            if uid is not None:
                os.setgroups([])
                os.setgid(uid)
                os.setuid(uid)
            work()
            code = 0
        finally:
            os._exit(code)
    return pid


def test_it_is_the_real_one_and_durable(postgres: PostgresServer) -> None:
    assert postgres.cluster.version().startswith("18.")
    for setting, value in {
        "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "listen_addresses": "",
        "data_checksums": "on", "server_encoding": "UTF8", "TimeZone": "UTC",
    }.items():  # fmt: skip
        assert asyncio.run(answer(postgres, f"SHOW {setting}")) == value, setting
    assert asyncio.run(answer(postgres, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user")) is False
    assert asyncio.run(answer(postgres, "SELECT datlocale FROM pg_database WHERE datname = 'bartizan'")) == "C.UTF-8"


def test_nobody_gets_in_without_the_password(postgres: PostgresServer) -> None:
    for user in (engine.ROLE, "postgres"):
        url = f"postgresql://{user}:wrong@/{engine.DATABASE}?host={postgres.cluster.sockets}"
        with pytest.raises(asyncpg.InvalidPasswordError):
            asyncio.run(asyncpg.connect(url))  # type: ignore[no-untyped-call]  # theirs
    assert stat.S_IMODE(postgres.cluster.password_file.stat().st_mode) == 0o600


def test_prepare_twice_changes_nothing(base: Path) -> None:
    server = new_server(base)
    server.cluster.prepare()
    mark = (server.cluster.data / "global" / "pg_control").read_bytes()
    server.cluster.prepare()
    assert (server.cluster.data / "global" / "pg_control").read_bytes() == mark
    works(server)


@pytest.mark.parametrize("after", [0.02, 0.1, 0.25, 0.45])
def test_a_kill_in_the_middle_leaves_nothing_half(base: Path, after: float) -> None:
    server = new_server(base)
    pid = in_a_child(server.cluster.prepare)
    time.sleep(after)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    works(server)
    server.cluster.prepare()  # what a dying initdb still wrote is gone with the second start at the latest
    assert [entry.name for entry in server.cluster.data.parent.glob("*.new-*")] == []


def test_a_pid_file_of_another_program_does_not_stop_it(base: Path) -> None:
    server = new_server(base)
    server.cluster.prepare()
    (server.cluster.data / "postmaster.pid").write_text(f"{os.getpid()}\n{server.cluster.data}\n")
    assert server.cluster.running() is None
    works(server)


def test_a_lost_password_is_made_anew(base: Path) -> None:
    server = new_server(base)
    works(server)
    before = server.cluster.password_file.read_text()
    server.cluster.password_file.unlink()
    works(server)
    assert server.cluster.password_file.read_text() != before


def test_it_comes_back_after_kill_9_with_what_it_acknowledged(base: Path) -> None:
    server = new_server(base)
    server.start()
    asyncio.run(answer(server, "CREATE TABLE kept AS SELECT 42 AS value"))
    assert server.cluster.running() is not None
    server.kill()
    began = time.monotonic()
    server.start()
    assert time.monotonic() - began < 5
    assert asyncio.run(answer(server, "SELECT value FROM kept")) == 42
    server.stop()
    assert server.cluster.running() is None


def test_it_never_begins_beside_a_child_of_the_killed_one(base: Path) -> None:
    """A backend that has not yet noticed may still write. Removing the pid file must not take that protection away."""
    server = new_server(base)
    server.start()

    async def kill_beside_a_session_that_stands_still() -> int:
        connection = await asyncpg.connect(server.url())  # type: ignore[no-untyped-call]  # theirs
        pid: int = await connection.fetchval("SELECT pg_backend_pid()")
        os.kill(pid, signal.SIGSTOP)
        server.kill()
        connection.terminate()
        return pid

    left = asyncio.run(kill_beside_a_session_that_stands_still())
    with ThreadPoolExecutor() as threads:
        try:
            starting = threads.submit(server.start)
            deadline = time.monotonic() + 10
            while "still in use" not in server.last_words():
                assert time.monotonic() < deadline, "it did not say why it does not begin"
                time.sleep(0.01)
            assert not starting.done()
            assert not server.cluster.ready()
        finally:
            os.kill(left, signal.SIGCONT)
        starting.result(timeout=20)
    server.stop()


def test_data_of_another_version_is_told_apart(base: Path) -> None:
    server = new_server(base)
    server.cluster.prepare()
    (server.cluster.data / "PG_VERSION").write_text("16\n")
    with pytest.raises(EngineTrouble, match="made by PostgreSQL 16"):
        server.cluster.prepare()


def test_a_missing_wheel_is_one_sentence(base: Path) -> None:
    with pytest.raises(EngineTrouble, match="not installed"):
        place.place(base / "d", base / "s", {"no-such-engine": ("x",)}, system=base / "system")


def test_a_place_that_cannot_be_written_is_one_sentence(base: Path) -> None:
    (base / "file").write_text("")
    with pytest.raises(EngineTrouble, match="cannot be set up: Not a directory"):
        place.place(base / "file" / "d", base / "s", NEEDS, system=base / "system")


@as_root
def test_roots_engine_runs_under_a_uid_of_its_own(base: Path) -> None:
    hidden = base / "hidden"
    hidden.mkdir(mode=0o700)
    spot = place.place(hidden / "d", base / "s", NEEDS, system=base / "system")
    assert spot.uid in place.FREE_UIDS
    with pytest.raises(KeyError):
        pwd.getpwuid(spot.uid or 0)
    again = place.place(hidden / "d", base / "s", NEEDS, system=base / "system")
    assert again == spot
    assert stat.S_IMODE(hidden.stat().st_mode) == 0o700
    assert hidden not in spot.data.parents
    server = new_server(base)
    server.start()
    pid = server.cluster.running()
    assert pid is not None
    assert Path(f"/proc/{pid}").stat().st_uid == server.cluster.uid
    server.stop()


@as_root
def test_a_copied_data_directory_does_not_share_the_database(base: Path) -> None:
    place.place(base / "d", base / "s", NEEDS, system=base / "system")
    shutil.copytree(base / "d", base / "copy")
    with pytest.raises(EngineTrouble, match="is a copy of"):
        place.place(base / "copy", base / "s", NEEDS, system=base / "system")
    (base / "d").rename(base / "moved")
    moved = place.place(base / "moved", base / "s", NEEDS, system=base / "system")
    place.forget(base / "moved", system=base / "system")
    assert not moved.data.exists()


@as_root
def test_it_works_as_a_normal_user(base: Path) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    home = base / "home"
    home.mkdir(mode=0o700)
    os.chown(home, nobody, nobody)

    def work() -> None:
        server = new_server(home)
        assert server.cluster.uid is None
        server.start()
        pid = server.cluster.running()
        assert pid is not None
        assert Path(f"/proc/{pid}").stat().st_uid == nobody
        server.stop()

    _, status = os.waitpid(in_a_child(work, nobody), 0)
    assert status == 0
