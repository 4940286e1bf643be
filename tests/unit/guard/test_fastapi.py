"""The FastAPI guard around a real FastAPI app: included routers, mounts, its own pages."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

import fastapi

from bartizan.guard.fastapi import Guard, Token
from bartizan.guard.testing import Issuer


def call(app: Any, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, Any]:
    sent: list[Any] = []
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop()

    async def send(message: Any) -> None:
        sent.append(message)

    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": pairs, "root_path": ""}
    asyncio.run(
        app(scope | {"scheme": "http", "server": ("app.localhost", 8080), "client": ("127.0.0.1", 1)}, receive, send)
    )
    return sent[0]["status"], json.loads(sent[1]["body"] or b"null")


def test_declared_routes_answer_and_all_others_are_closed() -> None:
    issuer, ran = Issuer(), []
    app, router = fastapi.FastAPI(), fastapi.APIRouter(prefix="/in")
    guard = Guard(app, issuer=issuer.issuer, audience=issuer.audience, app_origin=issuer.app_origin, source=issuer)
    caller = Annotated[Token, fastapi.Depends(guard.caller)]

    @guard.scopes("a")
    async def who(user: caller) -> dict[str, str]:
        return {"sub": user.sub}

    @guard.signed_in()
    def number(n: int, body: dict[str, int]) -> list[Any]:
        return [n, body, guard.user.sub]

    def forgotten() -> None:
        ran.append("forgotten")

    who.__annotations__["user"] = caller
    app.get("/who")(who)
    router.post("/number/{n}")(number)
    router.get("/forgotten")(forgotten)
    app.include_router(router)

    alice = issuer.bearer("alice", scopes=["a"])
    assert call(app, "GET", "/who", alice) == (200, {"sub": "alice"})
    posted = call(app, "POST", "/in/number/3", alice | {"Content-Type": "application/json"}, b'{"x": 1}')
    assert posted == (200, [3, {"x": 1}, "alice"])
    assert call(app, "GET", "/who", {})[0] == 401
    assert call(app, "POST", "/in/number/3", {}, b"not json")[0] == 401  # before the body is looked at
    for path in ("/in/forgotten", "/docs", "/openapi.json"):
        assert call(app, "GET", path, alice)[0] == 403
    assert ran == []
    assert {"forgotten", "openapi"} <= set(guard.undeclared())
