"""Photos, in SQLite: a title, the file it shows, and whose it is. Nobody is given another's."""

from __future__ import annotations

import sqlite3
import threading
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
    """One connection a thread: SQLite's own locks do the rest."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = path
        self._threads = threading.local()
        self._connection().executescript(_SCHEMA)

    def of(self, owner: str, limit: int = 200) -> list[Photo]:
        rows = self._connection().execute(
            f"SELECT {_COLUMNS} FROM photos WHERE owner = ? ORDER BY number DESC LIMIT ?",  # noqa: S608 - constant names
            (owner, limit),
        )
        return [Photo(*row) for row in rows]

    def count(self, owner: str) -> int:
        (number,) = self._connection().execute("SELECT count(*) FROM photos WHERE owner = ?", (owner,)).fetchone()
        return int(number)

    def one(self, owner: str, photo_id: str) -> Photo | None:
        row = (
            self._connection()
            .execute(
                f"SELECT {_COLUMNS} FROM photos WHERE owner = ? AND id = ?",  # noqa: S608 - constant names
                (owner, photo_id),
            )
            .fetchone()
        )
        return Photo(*row) if row else None

    def add(self, owner: str, title: str, file_id: UUID | None) -> Photo:
        photo_id = str(uuid4())
        with self._connection() as connection:
            connection.execute(
                "INSERT INTO photos (id, owner, title, file_id) VALUES (?, ?, ?, ?)",
                (photo_id, owner, title, str(file_id) if file_id else None),
            )
        photo = self.one(owner, photo_id)
        assert photo is not None
        return photo

    def rename(self, owner: str, photo_id: str, title: str) -> bool:
        with self._connection() as connection:
            done = connection.execute(
                "UPDATE photos SET title = ? WHERE owner = ? AND id = ?", (title, owner, photo_id)
            )
        return done.rowcount == 1

    def delete(self, owner: str, photo_id: str) -> bool:
        with self._connection() as connection:
            done = connection.execute("DELETE FROM photos WHERE owner = ? AND id = ?", (owner, photo_id))
        return done.rowcount == 1

    def _connection(self) -> sqlite3.Connection:
        found: sqlite3.Connection | None = getattr(self._threads, "connection", None)
        if found is None:
            found = sqlite3.connect(self._path, timeout=5)
            found.execute("PRAGMA journal_mode = WAL")
            self._threads.connection = found
        return found
