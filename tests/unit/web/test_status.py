"""The private socket: alive, ready, and why not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from tests.unit.web.calling import call

from bartizan.web import status


def answering(value: bool | Exception | float) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        if isinstance(value, Exception):
            raise value
        if isinstance(value, float):
            await asyncio.sleep(value)
            return True
        return value

    return check


def test_ready_when_all_checks_pass() -> None:
    app = status.status_app("auth", {"database": answering(True), "cache": answering(True)}, lambda: b"metrics 1\n")
    assert call(app, "GET", "/livez").status == 200
    assert call(app, "GET", "/readyz").json == {"server": "auth", "ready": True, "failing": []}
    assert call(app, "GET", "/metrics").body == b"metrics 1\n"
    assert call(app, "GET", "/").status == 404


def test_not_ready_names_what_fails_and_stays_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "_SECONDS", 0.05)
    checks = {
        "well": answering(True),
        "no": answering(False),
        "broken": answering(OSError("secret detail")),
        "slow": answering(5.0),
    }
    app = status.status_app("auth", checks, lambda: b"")
    answer = call(app, "GET", "/readyz")
    assert (answer.status, answer.json["failing"]) == (503, ["no", "broken", "slow"])
    assert "secret" not in answer.text
    assert call(app, "GET", "/livez").status == 200
