"""Signing keys: which one signs, which is published ahead of its use, which only verifies. Never a private part."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct
from starlette.responses import Response

from bartizan.auth.admin import console
from bartizan.auth.door import Visit
from bartizan.model.keys import StoredKey
from bartizan.web.words import day

DAY = 86_400


class Shown(Struct, frozen=True):
    kid: str
    algorithm: str
    word: str
    remark: str
    created_at: datetime


async def show(visit: Visit) -> Response:
    async with visit.desk.ports.store.reading() as records:
        keys = await records.keys.published()
        rotations = await console.tell(records, await records.events.latest(limit=8, code="key.rotated"))
    now = visit.desk.ports.clock()
    signing = next((key.kid for key in keys if key.active_at <= now and _signs(key, now)), "")
    return await console.page(
        visit,
        "keys",
        "admin/keys/page.html",
        keys=[_shown(key, now, key.kid == signing) for key in keys],
        days=visit.desk.settings.key_rotation_seconds // DAY,
        rotations=rotations,
    )


def _signs(key: StoredKey, now: datetime) -> bool:
    return key.retired_at is None or key.retired_at > now


def _shown(key: StoredKey, now: datetime, signing: bool) -> Shown:
    if signing:
        word, remark = "Signs now", f"since {day(key.active_at)}"
    elif key.active_at > now:
        word, remark = "Published ahead", f"signs from {key.active_at:%H:%M} UTC, {day(key.active_at)}"
    else:
        word, remark = (
            "Verifies only",
            f"until {day(key.removed_at)}" if key.removed_at else "until its last token dies",
        )
    return Shown(key.kid, key.algorithm, word, remark, key.created_at)
