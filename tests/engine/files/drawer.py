"""The files server over the real PostgreSQL and a real directory, called without a network."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar, cast
from uuid import UUID

from PIL import Image
from starlette.types import Message
from tests.fixtures.records import RING, a_client, a_family, a_user, add_family
from tests.unit.web.calling import Answer, calling

from bartizan.database.settings import DatabaseSettings
from bartizan.database.store import PostgresStore, connect
from bartizan.files import app, jobs
from bartizan.files.checks import GuardChecks
from bartizan.files.objects import Objects
from bartizan.files.ports import FilesPorts
from bartizan.files.settings import FilesSettings
from bartizan.guard.testing import Issuer
from bartizan.model.store import Records

T = TypeVar("T")

APP, FILES = "http://app.localhost:8080", "http://files.localhost:8080"


class NoMeter:
    def count(self, name: str, /, amount: float = 1, **labels: str) -> None: ...

    def observe(self, name: str, seconds: float, /, **labels: str) -> None: ...

    def set(self, name: str, value: float, /, **labels: str) -> None: ...


class Person:
    def __init__(self, user: UUID, gid: UUID) -> None:
        self.user = user
        self.gid = gid


class Drawer:
    """One server. `with` it: store and loop end with the block."""

    def __init__(self, url: str, folder: Path, **settings: object) -> None:
        self.loop = asyncio.new_event_loop()
        self.store: PostgresStore = self.loop.run_until_complete(connect(DatabaseSettings(url=url), RING))
        self.issuer = Issuer()
        given: dict[str, object] = {
            "app_origin": APP, "files_origin": FILES, "issuer": self.issuer.issuer, "audience": self.issuer.audience,
            "data_dir": folder,
        }  # fmt: skip
        self.settings = FilesSettings(**(given | settings))  # type: ignore[arg-type]  # a test names what it changes
        self.folder = folder
        self.late = 0.0  # seconds that our clock is ahead
        ports = FilesPorts(
            store=self.store, ring=RING, checks=GuardChecks(self.settings, self.issuer), meter=NoMeter(),
            clock=self.clock, chance=os.urandom,
        )  # fmt: skip
        self.app = app.build(self.settings, ports)

    def clock(self) -> datetime:
        return datetime.fromtimestamp(datetime.now(UTC).timestamp() + self.late, UTC)

    def __enter__(self) -> Drawer:
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.run_until_complete(self.store.close())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    def within(self, work: Callable[[Records], Awaitable[T]]) -> T:
        async def run() -> T:
            async with self.store.transaction() as records:
                return await work(records)

        return self.loop.run_until_complete(run())

    def person(self) -> Person:
        user, client = a_user(), a_client()
        family = a_family(user, client)

        async def add(records: Records) -> None:
            await records.users.add(user, "hash")
            await records.clients.add(client)
            await add_family(records, family)

        self.within(add)
        return Person(user.id, family.id)

    def headers(self, person: Person, *scopes: str) -> dict[str, str]:
        return self.issuer.browser(
            str(person.user), scopes=scopes or ("files.read", "files.write"), gid=str(person.gid)
        )

    def call(
        self,
        method: str,
        target: str,
        person: Person | None = None,
        *,
        headers: dict[str, str] | None = None,
        body: bytes | Iterable[bytes] = b"",
    ) -> Answer:
        sent = {**(self.headers(person) if person else {}), **(headers or {})}
        return self.loop.run_until_complete(
            calling(self.app, method, target.removeprefix(FILES), headers=sent, body=body)
        )

    def upload(self, person: Person, body: bytes, kind: str = "image/png", name: str = "a.png") -> Answer:
        return self.call("POST", "/files", person, headers={"Content-Type": kind, "X-File-Name": name}, body=body)

    def uploaded(self, person: Person, body: bytes, kind: str = "image/png", name: str = "a.png") -> dict[str, str]:
        answer = self.upload(person, body, kind, name)
        assert answer.status == 201, answer.text
        return cast("dict[str, str]", answer.json)

    def all_at_once(self, person: Person, body: bytes, times: int) -> list[int]:
        headers = {**self.headers(person), "Content-Type": "text/plain", "X-File-Name": "a.txt"}

        async def together() -> list[Answer]:
            calls = (calling(self.app, "POST", "/files", headers=headers, body=body) for _ in range(times))
            return list(await asyncio.gather(*calls))

        return sorted(answer.status for answer in self.loop.run_until_complete(together()))

    def cut(self, person: Person, pieces: list[bytes]) -> list[Message]:
        """An upload whose connection ends after these pieces; gives what the server tried to answer."""
        queue: list[Message] = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
        answers: list[Message] = []

        async def receive() -> Message:
            return queue.pop(0) if queue else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            answers.append(message)

        headers = {**self.headers(person), "content-type": "image/png", "x-file-name": "a.png"}
        scope = {
            "type": "http", "method": "POST", "path": "/files", "query_string": b"", "root_path": "",
            "headers": [(key.lower().encode(), value.encode()) for key, value in headers.items()],
            "http_version": "1.1", "scheme": "http", "client": None, "server": ("unix", None), "asgi": {"version": "3"},
        }  # fmt: skip
        self.loop.run_until_complete(self.app(scope, receive, send))
        return answers

    def used(self, person: Person) -> int:
        return self.within(lambda records: records.files.used(person.user))

    def on_disk(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file())

    def draw(self, file_id: str) -> None:
        objects = Objects(self.folder)
        self.loop.run_until_complete(jobs.make_thumbnail(UUID(file_id), self.settings, self.store, objects))

    def sweep(self) -> int:
        return self.loop.run_until_complete(jobs.remove_orphans(self.store, Objects(self.folder)))


def picture(kind: str = "PNG", size: tuple[int, int] = (900, 600), **options: object) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, "teal").save(out, kind, **options)
    return out.getvalue()
