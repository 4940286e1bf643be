"""The files server over a real database: uploads and attacks on them, lists, links, deletion, jobs."""

from __future__ import annotations

import asyncio
import io
import os
import time
import zipfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from PIL import Image
from starlette.types import ASGIApp, Message
from tests.fixtures.records import RING, a_client, a_family, a_user, new_id, within

from bartizan.database.store import PostgresStore
from bartizan.files.app import build
from bartizan.files.checks import GuardChecks
from bartizan.files.jobs import make_thumbnail, remove_orphans
from bartizan.files.links import Variant
from bartizan.files.objects import Objects
from bartizan.files.ports import FilesPorts
from bartizan.files.settings import FilesSettings
from bartizan.guard.testing import Issuer

pytestmark = pytest.mark.engine

APP, FILES = "http://app.localhost:8080", "http://files.localhost:8080"


class Silent:
    def count(self, name: str, /, amount: float = 1, **labels: str) -> None: ...

    def observe(self, name: str, seconds: float, /, **labels: str) -> None: ...

    def set(self, name: str, value: float, /, **labels: str) -> None: ...


class House:
    """One files server, with people who have accounts and tokens."""

    def __init__(self, store: PostgresStore, folder: Path, **more: Any) -> None:
        self.issuer = Issuer()
        self.settings = FilesSettings(
            app_origin=APP, files_origin=FILES, issuer=self.issuer.issuer, audience=APP, data_dir=folder, **more
        )
        self.store = store
        self.objects = Objects(folder)
        self.later = timedelta()
        self.app: ASGIApp = build(
            self.settings,
            FilesPorts(
                store=store,
                ring=RING,
                checks=GuardChecks(self.settings, self.issuer),
                meter=Silent(),
                clock=lambda: datetime.now(UTC) + self.later,
                chance=os.urandom,
            ),
        )
        self.http = httpx2.AsyncClient(transport=httpx2.ASGITransport(self.app))

    async def person(self, *, scopes: tuple[str, ...] = ("files.read", "files.write")) -> dict[str, str]:
        """The headers of a page of ours, signed in."""
        user, client = a_user(), a_client()
        family = a_family(user, client)
        async with self.store.transaction() as records:
            assert await records.users.add(user, None)
            assert await records.clients.add(client)
            await records.families.add(family)
        return self.issuer.browser(str(user.id), scopes=list(scopes), gid=str(family.id))

    async def upload(self, who: dict[str, str], content: bytes, **headers: str) -> httpx2.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(f"{APP}/files", content=content, headers=who | named)

    async def listed(self, who: dict[str, str]) -> dict[str, Any]:
        answer = await self.http.get(f"{APP}/files", headers=who)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def on_disk(self) -> list[Path]:
        folder = self.settings.data_dir
        return [path for path in folder.rglob("*") if path.is_file()] if folder.exists() else []


Work = Callable[[House], Awaitable[None]]
Run = Callable[..., None]


@pytest.fixture
def run(database_url: str, tmp_path: Path) -> Run:
    def go(work: Work, **more: Any) -> None:
        async def inside(store: PostgresStore) -> None:
            house = House(store, tmp_path / "files", **more)
            async with house.http:
                await work(house)

        within(database_url, inside)

    return go


def picture(kind: str = "JPEG", size: tuple[int, int] = (640, 400)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (20, 120, 60)).save(out, kind)
    return out.getvalue()


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../evil.txt", b"0" * 10_000_000)
    return out.getvalue()


def test_upload_list_download_delete(run: Run) -> None:
    async def walk(house: House) -> None:
        alice = await house.person()
        content = picture()
        answer = await house.upload(alice, content, content_type="image/jpeg", x_file_name="gr%C3%BC%C3%9Fe.jpg")
        assert answer.status_code == 201, answer.text
        file = answer.json()
        assert (file["name"], file["width"], file["height"]) == ("grüße.jpg", 640, 400)
        listed = await house.listed(alice)
        assert [row["id"] for row in listed["files"]] == [file["id"]]
        assert listed["used"] == len(content)
        got = await house.http.get(file["url"])
        assert got.content == content
        check_headers(got)
        assert (
            got.headers["content-disposition"] == "inline; filename=\"gr__e.jpg\"; filename*=UTF-8''gr%C3%BC%C3%9Fe.jpg"
        )
        gone = await house.http.delete(f"{APP}/files/{file['id']}", headers=alice)
        assert gone.status_code == 204
        assert (await house.http.get(file["url"])).status_code == 404
        assert house.on_disk() == []
        assert (await house.http.delete(f"{APP}/files/{file['id']}", headers=alice)).status_code == 404

    run(walk)


def check_headers(answer: httpx2.Response) -> None:
    headers = answer.headers
    assert headers["cross-origin-resource-policy"] == "cross-origin"
    assert headers["access-control-allow-origin"] == APP
    assert "access-control-allow-credentials" not in headers
    assert headers["access-control-expose-headers"] == "Content-Range, Content-Disposition"
    assert "private" in headers["cache-control"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert "set-cookie" not in headers


def test_ranges_and_conditions(run: Run) -> None:
    async def walk(house: House) -> None:
        alice = await house.person()
        content = bytes(range(32, 127)) * 4000
        url = (await house.upload(alice, content, content_type="text/plain")).json()["url"]

        async def get(**headers: str) -> httpx2.Response:
            return await house.http.get(url, headers={k.replace("_", "-"): v for k, v in headers.items()})

        part = await get(range="bytes=10-19")
        assert (part.status_code, part.content) == (206, content[10:20])
        assert part.headers["content-range"] == f"bytes 10-19/{len(content)}"
        assert part.headers["content-disposition"].startswith("attachment")
        assert (await get(range="bytes=-5")).content == content[-5:]
        beyond = await get(range=f"bytes={len(content)}-")
        assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(content)}")
        check_headers(beyond)
        assert (await get(range="bytes=0-1,4-5")).status_code == 200
        tag = part.headers["etag"]
        assert (await get(if_none_match=tag)).status_code == 304
        assert (await get(range="bytes=0-1", if_range=tag)).status_code == 206
        assert (await get(range="bytes=0-1", if_range='"other"')).status_code == 200
        head = await house.http.head(url)
        assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(content)), b"")

    run(walk)


@pytest.mark.parametrize(
    ("content", "claimed"),
    [
        (b"", "image/jpeg"),
        (picture(), "image/png"),
        (picture(), "text/html"),
        (b"<html><script>alert(1)</script>", "image/jpeg"),
        (b"<html><script>alert(1)</script>", "text/plain"),
        (b"<html><script>alert(1)</script>", "text/html"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image/svg+xml"),
        (zipped(), "application/zip"),
        (zipped(), "application/pdf"),
        (b"MZ\x90\x00" + bytes(200), "application/octet-stream"),
        (picture()[:200], "image/jpeg"),
        (b"GIF89a<script>alert(1)</script>", "image/gif"),
        (picture(size=(2000, 2000)), "image/jpeg"),
    ],
    ids=range(13),
)
def test_what_is_no_good_leaves_nothing(run: Run, content: bytes, claimed: str) -> None:
    async def walk(house: House) -> None:
        alice = await house.person()
        answer = await house.upload(alice, content, content_type=claimed, x_file_name="..%2F..%2Fx.jpg")
        assert answer.status_code in (400, 413, 415, 422), answer.text
        assert set(answer.json()) == {"error", "error_description"}
        assert (await house.listed(alice))["files"] == []
        assert house.on_disk() == []

    run(walk, max_pixels=1_000_000)


def test_too_large_is_refused_announced_or_not(run: Run) -> None:
    async def walk(house: House) -> None:
        alice = await house.person()
        assert (await house.upload(alice, b"a" * 200_001)).status_code == 413

        async def endless() -> Any:
            while True:
                yield b"a" * 65_536

        answer = await house.http.post(f"{APP}/files", content=endless(), headers=alice)
        assert answer.status_code == 413
        assert house.on_disk() == []

    run(walk, max_bytes=200_000)


def test_the_quota_holds_when_two_come_at_once(run: Run) -> None:
    async def walk(house: House) -> None:
        alice = await house.person()
        texts = [f"{number} ".encode() * 20_000 for number in range(6)]
        answers = await asyncio.gather(*(house.upload(alice, text) for text in texts))
        codes = sorted(answer.status_code for answer in answers)
        assert codes == [201, 201, 507, 507, 507, 507]
        listed = await house.listed(alice)
        assert len(listed["files"]) == 2
        assert listed["used"] <= listed["quota"]
        assert len(house.on_disk()) == 2

    run(walk, quota_bytes=100_000)


def test_a_connection_cut_at_each_chunk_leaves_nothing(run: Run) -> None:
    async def walk(house: House) -> None:
        alice = await house.person()
        content = picture(size=(1600, 1200))
        pieces = [content[at : at + 4096] for at in range(0, len(content), 4096)]
        for cut in range(len(pieces)):
            await cut_off(house.app, alice, pieces[:cut])
            assert house.on_disk() == []
        assert (await house.listed(alice))["files"] == []

    run(walk)


async def cut_off(app: ASGIApp, headers: dict[str, str], pieces: list[bytes]) -> None:
    queue: list[Message] = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]

    async def receive() -> Message:
        return queue.pop(0) if queue else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        return None

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": "/files",
        "raw_path": b"/files",
        "query_string": b"",
        "scheme": "http",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": None,
        "server": None,
    }
    await app(scope, receive, send)


def test_the_handler_never_runs_without_the_right(run: Run) -> None:
    async def walk(house: House) -> None:
        alice, reader = await house.person(), await house.person(scopes=("files.read",))
        content = picture()
        wrong = {name: value for name, value in alice.items() if name.lower() != "x-csrf-token"}
        assert (await house.upload({}, content)).status_code == 401
        assert (await house.upload(wrong, content)).status_code == 403
        assert (await house.upload(wrong | {"X-CSRF-Token": "x"}, content)).status_code == 403
        cross = {n: v for n, v in alice.items() if n.lower() not in ("sec-fetch-site", "origin")}
        assert (await house.upload(cross | {"Sec-Fetch-Site": "cross-site"}, content)).status_code == 403
        refused = await house.upload(reader, content)
        assert refused.status_code == 403
        assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]
        assert house.on_disk() == []
        house.issuer.away = True
        assert (await house.upload(alice, content)).status_code == 503

    run(walk)


def test_links_are_for_one_person_and_end(run: Run) -> None:
    async def walk(house: House) -> None:
        alice, bob = await house.person(), await house.person()
        file = (await house.upload(alice, picture())).json()
        assert (await house.listed(bob))["files"] == []
        assert (await house.http.get(f"{APP}/files/{file['id']}/link", headers=bob)).status_code == 404
        assert (await house.http.delete(f"{APP}/files/{file['id']}", headers=bob)).status_code == 404
        link = await house.http.get(f"{APP}/files/{file['id']}/link?variant=original", headers=alice)
        assert link.json()["url"] == file["url"]
        for bad in ("?variant=huge", "?variant=original&variant=thumb", "?x=1"):
            assert (await house.http.get(f"{APP}/files/{file['id']}/link{bad}", headers=alice)).status_code == 400
        house.later = timedelta(hours=3)
        assert (await house.http.get(file["url"])).status_code == 404
        house.later = timedelta()
        gid = UUID(hex=file["url"].split("/")[-3])
        async with house.store.transaction() as records:
            assert await records.families.end(gid, "test")
        assert (await house.http.get(file["url"])).status_code == 404
        assert (await house.http.get(file["url"], headers={"range": "bytes=0-1"})).status_code == 404

    run(walk)


def test_thumbnails_and_orphans(run: Run) -> None:
    async def walk(house: House) -> None:
        alice = await house.person()
        file = (await house.upload(alice, picture(size=(1200, 800)))).json()
        assert file["thumbnail_url"] is None
        await make_thumbnail(UUID(file["id"]), house.settings, house.store, house.objects)
        listed = (await house.listed(alice))["files"][0]
        small = await house.http.get(listed["thumbnail_url"])
        assert small.headers["content-type"] == "image/webp"
        with Image.open(io.BytesIO(small.content)) as image:
            assert image.size == (480, 320)
        lost, half = new_id(), house.objects.half / "left"
        await house.objects.put(lost, Variant.ORIGINAL, b"orphan")
        half.write_bytes(b"half")
        old = time.time() - 7200
        for path in house.on_disk():
            os.utime(path, (old, old))
        assert await remove_orphans(house.store, house.objects) == 1
        assert not half.exists()
        assert (await house.http.get(listed["url"])).status_code == 200

    run(walk)
