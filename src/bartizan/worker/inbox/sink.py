"""The SMTP side of the dev inbox: takes every mail, sends none on. A Unix socket, so nothing else can reach it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from aiosmtpd.smtp import SMTP, Envelope, Session

from bartizan.worker.inbox.box import Box
from bartizan.worker.settings import InboxSettings

log = structlog.get_logger()


class _Handler:
    """aiosmtpd calls `handle_DATA` by this name."""

    def __init__(self, box: Box) -> None:
        self._box = box

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - its name
        content = envelope.content or b""
        raw = content.encode("utf-8") if isinstance(content, str) else content
        mail_id = await asyncio.to_thread(self._box.put, raw)
        log.info("inbox.caught", mail=mail_id, bytes=len(raw))
        return "250 caught"


@asynccontextmanager
async def listening(settings: InboxSettings, box: Box) -> AsyncIterator[None]:
    """The sink answers while the block runs. A socket file left by a killed run is replaced."""
    loop = asyncio.get_running_loop()
    handler = _Handler(box)

    def protocol() -> SMTP:
        return SMTP(
            handler,
            loop=loop,
            hostname="inbox.localhost",
            ident="Bartizan dev inbox",
            enable_SMTPUTF8=True,
            data_size_limit=settings.max_bytes,
            timeout=30,
        )

    await asyncio.to_thread(Path(settings.socket).unlink, missing_ok=True)
    server = await loop.create_unix_server(protocol, str(settings.socket))
    try:
        yield
    finally:
        server.close()
        await asyncio.to_thread(Path(settings.socket).unlink, missing_ok=True)


async def serve(settings: InboxSettings, box: Box, stop: asyncio.Event) -> None:
    """The sink until `stop`."""
    async with listening(settings, box):
        await stop.wait()
