"""One request to an ASGI app, without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from msgspec import Struct, json
from starlette.types import ASGIApp, Message


class Answer(Struct, frozen=True):
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key == name]
        return values[0] if values else None

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> dict[str, object]:
        return json.decode(self.body, type=dict[str, object])


def call(
    app: ASGIApp,
    method: str,
    target: str,
    *,
    headers: dict[str, str] | None = None,
    body: bytes | Iterable[bytes] = b"",
) -> Answer:
    return asyncio.run(calling(app, method, target, headers=headers, body=body))


async def calling(
    app: ASGIApp,
    method: str,
    target: str,
    *,
    headers: dict[str, str] | None = None,
    body: bytes | Iterable[bytes] = b"",
) -> Answer:
    path, _, query = target.partition("?")
    pieces = [body] if isinstance(body, bytes) else list(body)
    queue: list[Message] = [
        {"type": "http.request", "body": piece, "more_body": number < len(pieces) - 1}
        for number, piece in enumerate(pieces)
    ] or [{"type": "http.request", "body": b"", "more_body": False}]
    sent: list[Message] = []

    async def receive() -> Message:
        return queue.pop(0) if queue else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode("latin-1", "replace"),
        "root_path": "",
        "headers": [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in (headers or {}).items()],
        "client": None,
        "server": ("unix", None),
    }
    await app(scope, receive, send)
    head = sent[0]
    pairs = tuple((k.decode("latin-1"), v.decode("latin-1")) for k, v in head["headers"])
    return Answer(head["status"], pairs, b"".join(part.get("body", b"") for part in sent[1:]))
