"""The photos that the demo begins with: stored as an upload would be, then told to Snapshots by its own command."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import msgspec

from bartizan.files import pictures
from bartizan.files.api import THUMBNAIL_JOB
from bartizan.files.links import Variant
from bartizan.files.objects import Objects
from bartizan.model.files import File
from bartizan.model.job import Job
from bartizan.model.store import Store
from bartizan.protocol.secrets import uuid7
from bartizan.stack import compile as compiled
from bartizan.stack.effective import Effective
from bartizan.stack.plan import demo_environment

PICTURES = Path(__file__).parents[1] / "demo" / "pictures"


async def plant(at: Effective, store: Store, owner: UUID) -> None:
    """All of them are `owner`'s."""
    settings = compiled.files(at)
    objects = Objects(settings.data_dir)
    told = []
    for picture in sorted(PICTURES.glob("*.jpg")):
        content = await asyncio.to_thread(picture.read_bytes)
        measured = await asyncio.to_thread(pictures.verify, picture, "image/jpeg", settings.max_pixels)
        now = datetime.now(UTC)
        file = File(
            id=_new_id(now),
            owner=owner,
            name=picture.name,
            media_type="image/jpeg",
            size=len(content),
            sha256=hashlib.sha256(content).digest(),
            width=measured.width,
            height=measured.height,
            thumbnail=False,
            created_at=now,
        )
        await objects.put(file.id, Variant.ORIGINAL, content)
        async with store.transaction() as records:
            if not await records.files.reserve(file, quota=settings.quota_bytes):
                return
            await records.jobs.enqueue(Job(id=_new_id(now), kind=THUMBNAIL_JOB, detail={"file": str(file.id)}))
        told.append({"owner": str(owner), "title": picture.stem.capitalize(), "file_id": str(file.id)})
    await _tell(at, b"".join(msgspec.json.encode(row) + b"\n" for row in told))


async def _tell(at: Effective, lines: bytes) -> None:
    """Snapshots is a stranger: it keeps its titles itself."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "bartizan.demo.api.plant", stdin=asyncio.subprocess.PIPE, env=demo_environment(at)
    )
    await process.communicate(lines)


def _new_id(now: datetime) -> UUID:
    return uuid7(int(now.timestamp() * 1000), secrets.token_bytes(10))
