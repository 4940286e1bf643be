"""`migrate`: the schema of this release. Alembic is imported here alone, because it costs half a second."""

from __future__ import annotations

import asyncio

from bartizan.database import migrate as schema
from bartizan.stack import compile as compiled
from bartizan.stack.effective import Effective
from bartizan.stack.plan import schema as names
from bartizan.stack.plan import stamp_file


async def migrate(at: Effective) -> str:
    """To the newest; gives its revision. Of our own cluster we write down what it is at, which saves `up` asking."""
    revision = await schema.upgrade(compiled.database_url(at))
    if at.config.database.url is None:
        await asyncio.to_thread(stamp_file(at).write_text, names())
    return revision
