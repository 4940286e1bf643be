"""Routes: one row an endpoint. The app mounts it, the gateway compiles it, the attack suite tries it without rights."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from msgspec import Struct


class Who(StrEnum):
    """Who may call. The handler's own room enforces it; the gateway only narrows."""

    ANYONE = "anyone"
    CLIENT = "client"  # an authenticated OAuth client
    TOKEN = "token"  # noqa: S105 - a word, no secret: a valid access token (with `scope`, that too)
    SESSION = "session"  # a sign-on session at id
    ADMIN = "admin"  # a session of an administrator
    BROWSER = "browser"  # /bff: the sealed cookie, origin test


class Origin(StrEnum):
    APP = "app"
    ID = "id"
    FILES = "files"


class Route(Struct, frozen=True, kw_only=True):
    methods: tuple[str, ...]
    path: str  # "/account/sessions/{session_id}/end"; "{name}" one segment, "{name:path}" the rest
    endpoint: Callable[..., Any]  # async (starlette Request) -> Response
    who: Who
    origin: Origin = Origin.ID
    scope: str = ""
    body_limit: int = 64 * 1024  # bytes
    timeout: int = 15  # seconds; 0: a stream, no cut
    stream: bool = False  # request body is streamed through
    held: bool = False  # a long poll: its wait is no slowness, and is left out of the gateway's p99
    limit: str = ""  # "30/minute": per address, at the gateway
    cors: str = ""  # "" none · "public" any origin, no credentials · "clients" the registered origins
    form: bool = False  # a page's form POST: double-checked by the page's own CSRF field
