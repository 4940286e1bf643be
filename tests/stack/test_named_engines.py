"""A file that names its own PostgreSQL and Valkey: then none is started here, and everything else works the same."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.stack import Stack
from tests.fixtures.valkey import ValkeyServer
from tests.fixtures.wire import line

from bartizan.database.place import forget
from bartizan.stack.home import Home

pytestmark = pytest.mark.stack

FILE = """
[[auth.client]]
id = "shop"
kind = "browser"
name = "Shop"

[database]
url = {{ file = "{database}" }}

[cache]
url = {{ file = "{cache}" }}

[[route]]
path = "/"
spa = "{spa}"
"""


@pytest.fixture
def file(tmp_path: Path, postgres: PostgresServer, valkey: ValkeyServer) -> Path:
    database, cache, spa = tmp_path / "database-url", tmp_path / "cache-url", tmp_path / "spa"
    database.write_text(postgres.new_database())
    cache.write_text(valkey.url)
    spa.mkdir()
    (spa / "index.html").write_text("<!doctype html><title>Shop</title>")
    made = tmp_path / "bartizan.toml"
    made.write_text(FILE.format(database=database, cache=cache, spa=spa))
    return made


def test_engines_that_are_named_are_used_and_none_is_started(tmp_path: Path, file: Path) -> None:
    stack = Stack(tmp_path / "data", "--config", str(file))
    try:
        stack.start()
        rows = {row["name"]: row for row in stack.status()["servers"]}
        assert [name for name, row in rows.items() if not row["ready"]] == ["resource"], rows  # there is none
        assert rows["database"]["pids"] == []
        assert rows["cache"]["pids"] == []
        made = stack.site().cli("user", "create", "named@example.com", "--password-stdin", stdin="a long password here")
        assert made["email"] == "named@example.com"
        stack.stop()
        assert not (stack.data / "postgres").exists()
        check_serve(tmp_path, file, stack.data)
    finally:
        stack.stop()
        forget(stack.data)


def check_serve(tmp_path: Path, file: Path, data: Path) -> None:
    """Some of our servers in one process, by `bartizan serve`, where `up` has been before."""
    words = ["--config", str(file), "--data", str(data)]
    command = [sys.executable, "-P", "-m", "bartizan.stack.cli", "serve"]
    said = subprocess.run([*command, "mail", *words], capture_output=True, text=True, check=False, timeout=60)
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.startswith("Name servers of auth, frontend, files, worker, monitoring, gateway.")
    with (tmp_path / "out").open("wb") as out:
        serving = subprocess.Popen([*command, "auth", *words], stdout=out, stderr=out)
    try:
        end = time.monotonic() + 30
        while not (keys := answered(Home(data).sockets() / "auth.sock")):
            assert serving.poll() is None, (tmp_path / "out").read_text()
            assert time.monotonic() < end, "it does not answer"
            time.sleep(0.05)
        assert b'"kty":"EC"' in keys
    finally:
        serving.terminate()
        code = serving.wait(10)
        shutil.rmtree(Home(data).sockets())
    assert code == 0, (tmp_path / "out").read_text()


def answered(socket: Path) -> bytes:
    asked = line(socket, 5)
    try:
        asked.request("GET", "/jwks", headers={"Host": "id.localhost:8080"})
        return asked.getresponse().read()
    except OSError:
        return b""
    finally:
        asked.close()
