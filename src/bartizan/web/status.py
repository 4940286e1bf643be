"""`/livez`, `/readyz`, `/metrics` on a private socket, never on the public one (design §4)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from msgspec import json
from starlette.types import ASGIApp, Receive, Scope, Send

from bartizan.web.lifespan import nothing_to_start

Check = Callable[[], Awaitable[bool]]

_SECONDS = 2.0  # a check that takes longer has failed


def status_app(name: str, checks: Mapping[str, Check], meter_text: Callable[[], bytes]) -> ASGIApp:
    """`checks`: what must answer before this process takes work, by name, each true when well."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await nothing_to_start(receive, send)
            return
        if scope["type"] != "http":
            return
        path = scope["path"]
        if path == "/livez":
            await _answer(send, 200, b'{"live":true}', b"application/json")
        elif path == "/readyz":
            failing = await _failing(checks)
            body = json.encode({"server": name, "ready": not failing, "failing": failing})
            await _answer(send, 503 if failing else 200, body, b"application/json")
        elif path == "/metrics":
            await _answer(send, 200, meter_text(), b"text/plain; version=0.0.4; charset=utf-8")
        else:
            await _answer(send, 404, b"not found\n", b"text/plain")

    return app


async def _failing(checks: Mapping[str, Check]) -> list[str]:
    results = await asyncio.gather(*(_passes(check) for check in checks.values()))
    return [name for name, passed in zip(checks, results, strict=True) if not passed]


async def _passes(check: Check) -> bool:
    try:
        return await asyncio.wait_for(check(), _SECONDS)
    except Exception:  # whatever it was: not ready
        return False


async def _answer(send: Send, status: int, body: bytes, kind: bytes) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode()), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
