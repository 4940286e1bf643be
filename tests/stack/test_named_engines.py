"""A file that names its own PostgreSQL and Valkey: then none is started here, and everything else works the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.stack import Stack
from tests.fixtures.valkey import ValkeyServer

from bartizan.database.place import forget

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


def test_engines_that_are_named_are_used_and_none_is_started(
    tmp_path: Path, postgres: PostgresServer, valkey: ValkeyServer
) -> None:
    database, cache, spa = tmp_path / "database-url", tmp_path / "cache-url", tmp_path / "spa"
    database.write_text(postgres.new_database())
    cache.write_text(valkey.url)
    spa.mkdir()
    (spa / "index.html").write_text("<!doctype html><title>Shop</title>")
    file = tmp_path / "bartizan.toml"
    file.write_text(FILE.format(database=database, cache=cache, spa=spa))
    stack = Stack(tmp_path / "data", "--config", str(file))
    try:
        stack.start()
        rows = {row["name"]: row for row in stack.status()["servers"]}
        assert [name for name, row in rows.items() if not row["ready"]] == ["resource"], rows  # there is none
        assert rows["database"]["pids"] == []
        assert rows["cache"]["pids"] == []
        made = stack.site().cli("user", "create", "named@example.com", "--password-stdin", stdin="a long password here")
        assert made["email"] == "named@example.com"
    finally:
        stack.stop()
        forget(stack.data)
    assert not (stack.data / "postgres").exists()
