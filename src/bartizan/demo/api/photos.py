"""Photos, in SQLite: a title, the file it shows, and whose it is. Nobody is given another's."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import UUID, uuid4

from msgspec import Struct

TITLE_LIMIT = 120

_SCHEMA = """
CREATE TABLE IF NOT EXISTS photos (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    title TEXT NOT NULL,
    file_id TEXT,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
);
CREATE INDEX IF NOT EXISTS photos_owner ON photos (owner, number DESC);
"""
_COLUMNS = "id, title, file_id, created_at"


class Photo(Struct, frozen=True):
    id: str
    title: str
    file_id: str | None  # in the files server; None: a title whose picture is still to come
    created_at: str


class Photos:
    """A connection a call, closed again: it costs some microseconds, and no thread keeps one."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = path
        with self._connected() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_SCHEMA)

    def of(self, owner: str, limit: int = 200) -> list[Photo]:
        query = f"SELECT {_COLUMNS} FROM photos WHERE owner = ? ORDER BY number DESC LIMIT ?"  # noqa: S608 - constants
        with self._connected() as connection:
            return [Photo(*row) for row in connection.execute(query, (owner, limit))]

    def count(self, owner: str) -> int:
        with self._connected() as connection:
            (number,) = connection.execute("SELECT count(*) FROM photos WHERE owner = ?", (owner,)).fetchone()
        return int(number)

    def one(self, owner: str, photo_id: str) -> Photo | None:
        query = f"SELECT {_COLUMNS} FROM photos WHERE owner = ? AND id = ?"  # noqa: S608 - constant names
        with self._connected() as connection:
            row = connection.execute(query, (owner, photo_id)).fetchone()
        return Photo(*row) if row else None

    def add(self, owner: str, title: str, file_id: UUID | None) -> Photo:
        photo_id = str(uuid4())
        with self._connected() as connection:
            connection.execute(
                "INSERT INTO photos (id, owner, title, file_id) VALUES (?, ?, ?, ?)",
                (photo_id, owner, title, str(file_id) if file_id else None),
            )
        photo = self.one(owner, photo_id)
        assert photo is not None
        return photo

    def rename(self, owner: str, photo_id: str, title: str) -> bool:
        return self._changed("UPDATE photos SET title = ? WHERE owner = ? AND id = ?", (title, owner, photo_id))

    def delete(self, owner: str, photo_id: str) -> bool:
        return self._changed("DELETE FROM photos WHERE owner = ? AND id = ?", (owner, photo_id))

    def _changed(self, statement: str, values: tuple[str, ...]) -> bool:
        with self._connected() as connection:
            return connection.execute(statement, values).rowcount == 1

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """Commits on a clean exit, rolls back on an exception, and closes."""
        with closing(sqlite3.connect(self._path, timeout=5)) as connection, connection:
            yield connection
