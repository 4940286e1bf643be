"""The ASGI guard around a real Starlette app: the same policy, and streams that end with their session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from tests.fixtures.waiting import comes_true

from bartizan.guard import fastapi, streams
from bartizan.guard.asgi import Guard
from bartizan.guard.policy import RoutePolicy, Who
from bartizan.guard.testing import CSRF, Issuer
from bartizan.protocol.web.cors import PublicRead

PRINT = "http://print.localhost:8080"
FORM = "application/x-www-form-urlencoded"


class Bench:
    def __init__(self) -> None:
        self.issuer = Issuer()
        self.ran: list[str] = []
        issuer = self.issuer
        self.guard = Guard(
            issuer=issuer.issuer,
            audience=issuer.audience,
            app_origin=issuer.app_origin,
            source=issuer,
            public=("files",),
        )
        self.app = Starlette(routes=self._routes())
        self.guard.init_app(self.app)

    def _routes(self) -> list[Any]:
        guard = self.guard

        @guard.scopes("photos.read")
        @guard.cors(PRINT)
        async def photos(request: Request) -> Response:
            self.ran.append("photos")
            return JSONResponse({"sub": guard.user.sub})

        @guard.scopes("photos.write")
        async def upload(request: Request) -> Response:
            self.ran.append("upload")
            return PlainTextResponse(await request.body())

        @guard.scopes("photos.write", csrf="form", form_limit=1000)
        def form(request: Request) -> Response:  # a plain function: it runs in a thread and still knows its caller
            self.ran.append("form")
            return PlainTextResponse(guard.user.sub + guard.csrf_field())

        @guard.signed_in(csrf="form")
        async def read_form(request: Request) -> Response:
            return PlainTextResponse(str((await request.form())["title"]))

        @guard.public()
        @guard.cors(PublicRead())
        async def open_(request: Request) -> Response:
            return PlainTextResponse(guard.csp_nonce())

        async def forgotten(request: Request) -> Response:
            self.ran.append("forgotten")
            return PlainTextResponse("secret")

        @guard.signed_in()
        @guard.limit("1/minute")
        async def limited(request: Request) -> Response:
            return PlainTextResponse("ok")

        @guard.signed_in()
        async def broken(request: Request) -> Response:
            raise ZeroDivisionError

        @guard.signed_in()
        async def stream(request: Request) -> Response:
            async def parts() -> AsyncIterator[bytes]:
                yield b"first"
                self.ran.append("streaming")
                await asyncio.Event().wait()

            return StreamingResponse(parts())

        @guard.signed_in()
        async def socket(websocket: WebSocket) -> None:
            self.ran.append("socket")
            await websocket.accept()
            try:
                await websocket.receive_text()
            except WebSocketDisconnect:
                self.ran.append("gone")

        async def files(request: Request) -> Response:
            return PlainTextResponse("file")

        return [
            Route("/photos", photos, methods=["GET"]),
            Route("/photos", upload, methods=["POST"]),
            Route("/form", form, methods=["POST"]),
            Route("/read-form", read_form, methods=["POST"]),
            Route("/open", open_),
            Route("/forgotten", forgotten),
            Route("/limited", limited),
            Mount("/in", routes=[Route("/broken", broken), Route("/forgotten", forgotten, name="inner")]),
            Route("/stream", stream),
            WebSocketRoute("/socket", socket),
            Route("/files", files, name="files"),
        ]

    def call(self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
        return asyncio.run(self.exchange(method, path, headers, body))

    async def exchange(
        self, method: str, path: str, headers: dict[str, str] | list[tuple[str, str]] | None = None, body: bytes = b""
    ) -> Answer:
        pairs = list(headers.items()) if isinstance(headers, dict) else headers or []
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in pairs],
            "server": ("app.localhost", 8080),
            "client": ("127.0.0.1", 1),
        }
        answer = Answer(body)
        try:
            await self.app(scope, answer.receive, answer.send)
        except ZeroDivisionError:
            answer.raised = True
        return answer


class Answer:
    """The client's side of one exchange."""

    def __init__(self, body: bytes) -> None:
        half = len(body) // 2
        self._parts = [body[:half], body[half:]]
        self.messages: list[dict[str, Any]] = []
        self.raised = False

    async def receive(self) -> dict[str, Any]:
        if self._parts:
            part = self._parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(self._parts)}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(self, message: Any) -> None:
        self.messages.append(message)

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.messages[1:]).decode()


@pytest.fixture
def bench() -> Bench:
    return Bench()


ALL = ["photos.read", "photos.write"]


def test_the_same_answers_as_flask(bench: Bench) -> None:
    read = bench.issuer.bearer("alice", scopes=ALL)
    assert bench.call("GET", "/photos", read).text == '{"sub":"alice"}'
    assert bench.call("GET", "/photos").headers["www-authenticate"] == 'Bearer realm="api", scope="photos.read"'
    assert bench.call("GET", "/photos", bench.issuer.bearer("a")).status == 403
    assert bench.call("GET", "/forgotten", read).status == 403
    assert bench.call("GET", "/in/forgotten", read).status == 403
    assert bench.call("GET", "/files").text == "file"
    assert bench.call("GET", "/nowhere").status == 404
    assert bench.call("PUT", "/photos", read).status == 405
    assert bench.ran == ["photos"]
    assert bench.guard.undeclared() == ["forgotten", "inner"]


@pytest.mark.parametrize(
    ("changed", "status"),
    [({}, 200), ({"X-CSRF-Token": None}, 403), ({"X-CSRF-Token": "x"}, 403), ({"Sec-Fetch-Site": "same-site"}, 403)],
)
def test_a_post_by_cookie_token(bench: Bench, changed: dict[str, str | None], status: int) -> None:
    sent = bench.issuer.browser("alice", scopes=ALL) | changed
    answer = bench.call("POST", "/photos", {k: v for k, v in sent.items() if v is not None}, b"body")
    assert answer.status == status
    assert bench.ran == (["upload"] if status == 200 else [])


def test_two_authorization_headers_are_400(bench: Bench) -> None:
    token = next(iter(bench.issuer.bearer("alice", scopes=ALL).items()))
    assert asyncio.run(bench.exchange("GET", "/photos", [token, token])).status == 400


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"title=x&_csrf=" + CSRF.encode(), 200), (b"title=x", 403), (b"_csrf=x", 403), (b"t=" + b"x" * 1000, 413)],
)
def test_a_form_is_compared_and_handed_on(bench: Bench, body: bytes, status: int) -> None:
    sent = bench.issuer.browser("alice", scopes=ALL) | {"Content-Type": FORM}
    del sent["X-CSRF-Token"]
    answer = bench.call("POST", "/form", sent, body)
    assert answer.status == status
    assert bench.ran == (["form"] if status == 200 else [])
    if status == 200:
        assert answer.text == f'alice<input type="hidden" name="_csrf" value="{CSRF}">'
        assert bench.call("POST", "/read-form", sent, body).text == "x"


def test_headers_and_cors_on_every_status(bench: Bench) -> None:
    read = bench.issuer.bearer("alice", scopes=ALL)
    for path, headers, status in (("/photos", read, 200), ("/photos", {}, 401), ("/in/broken", read, 500)):
        answer = bench.call("GET", path, headers | {"Origin": PRINT})
        assert answer.status == status
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers.get("access-control-allow-origin") == (PRINT if path == "/photos" else None)
        other = bench.call("GET", path, headers | {"Origin": "http://evil.localhost"})
        assert "access-control-allow-origin" not in other.headers
    nonce = bench.call("GET", "/open")
    assert f"'nonce-{nonce.text}'" in nonce.headers["content-security-policy"]
    preflight = {"Origin": PRINT, "Access-Control-Request-Method": "GET"}
    answer = bench.call("OPTIONS", "/photos", preflight)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (204, PRINT)
    post = bench.call("OPTIONS", "/photos", preflight | {"Access-Control-Request-Method": "POST"})
    assert "access-control-allow-origin" not in post.headers


def test_limits_unseen_feed_and_pages(bench: Bench) -> None:
    alice = bench.issuer.bearer("alice")
    assert [bench.call("GET", "/limited", alice).status for _ in range(2)] == [200, 429]
    bench.issuer.away = True
    answer = bench.call("GET", "/photos", alice | {"Accept": "text/html"})
    assert (answer.status, answer.headers["retry-after"]) == (503, "2")
    assert answer.headers["content-type"].startswith("text/html")


def test_a_stream_ends_with_its_session(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_EVERY", 0.02)

    async def walk() -> Answer:
        headers = bench.issuer.bearer("alice", gid="g1")
        task = asyncio.create_task(bench.exchange("GET", "/stream", headers))
        await comes_true(lambda: bench.ran == ["streaming"])
        assert not task.done()
        bench.issuer.end("g1")
        return await asyncio.wait_for(task, 1)

    answer = asyncio.run(walk())
    assert answer.text == "first"
    assert answer.messages[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


async def connect(bench: Bench, headers: dict[str, str], **more: Any) -> tuple[asyncio.Task[Answer], Answer]:
    answer = Answer(b"")
    incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    incoming.put_nowait({"type": "websocket.connect"})
    scope = {
        "type": "websocket",
        "path": "/socket",
        "raw_path": b"/socket",
        "root_path": "",
        "query_string": b"",
        "scheme": "ws",
        "subprotocols": [],
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    } | more
    task: asyncio.Task[Any] = asyncio.create_task(bench.app(scope, incoming.get, answer.send))
    await comes_true(lambda: bool(answer.messages))
    return task, answer


def test_a_websocket_needs_the_origin_and_ends_with_its_session(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_EVERY", 0.02)

    async def walk() -> list[dict[str, Any]]:
        cookie = bench.issuer.bearer("alice", csrf=CSRF, gid="g1")
        for headers in ({}, cookie, cookie | {"Origin": "http://b.localhost:8080"}):
            task, refused = await connect(bench, headers)
            await task
            assert refused.messages == [{"type": "websocket.close", "code": 1008}]
        task, told = await connect(bench, cookie, extensions={"websocket.http.response": {}})
        await task
        assert (told.messages[0]["type"], told.status) == ("websocket.http.response.start", 403)
        assert bench.ran == []
        task, answer = await connect(bench, cookie | {"Origin": bench.issuer.app_origin})
        assert bench.ran == ["socket"]
        bench.issuer.end("g1")
        await asyncio.wait_for(task, 1)
        return answer.messages

    messages = asyncio.run(walk())
    assert messages[0]["type"] == "websocket.accept"
    assert (messages[-1]["type"], messages[-1]["code"]) == ("websocket.close", 1008)


def test_what_the_router_does_not_know_may_only_refuse(bench: Bench) -> None:
    """A fallback that answers every other path is no declared route: closed, and its WebSocket too."""

    async def fallback(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
        await PlainTextResponse("secret", int(scope["path"].strip("/")))(scope, receive, send)

    bench.app.router.default = fallback
    answer = bench.call("GET", "/200", bench.issuer.bearer("alice"))
    assert (answer.status, "secret" in answer.text) == (403, False)
    assert bench.call("GET", "/404").text == "secret"
    assert bench.call("GET", "/307").status == 307

    async def walk() -> list[dict[str, Any]]:
        task, refused = await connect(bench, {}, path="/200")
        await task
        return refused.messages

    assert asyncio.run(walk()) == [{"type": "websocket.close", "code": 1008}]


def test_any_asgi_app_by_a_lookup_of_ones_own(bench: Bench) -> None:
    async def bare(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": bench.guard.user.sub.encode()})

    app: Any = bench.guard.around(bare, lambda scope: RoutePolicy(who=Who.SIGNED_IN))
    bench.app = app
    assert bench.call("GET", "/any").status == 401
    assert bench.call("GET", "/any", bench.issuer.bearer("alice")).text == "alice"


def test_a_cold_source_is_asked_from_a_thread(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def current(self: Issuer) -> Any:
        try:
            asyncio.get_running_loop()
            asked.append(True)
        except RuntimeError:
            asked.append(False)
        return original(self)

    original = Issuer.current
    monkeypatch.setattr(Issuer, "current", current)
    monkeypatch.setattr(Issuer, "started", False)
    assert bench.call("GET", "/photos", bench.issuer.bearer("alice", scopes=ALL)).status == 200
    assert asked == [False]


def test_fastapis_guard_gives_the_caller_as_a_dependency(bench: Bench) -> None:
    issuer = bench.issuer
    guard = fastapi.Guard(issuer=issuer.issuer, audience=issuer.audience, app_origin=issuer.app_origin, source=issuer)

    @guard.signed_in()
    async def who(request: Request) -> Response:
        return PlainTextResponse((await guard.caller()).sub)

    @guard.optional()
    async def maybe(request: Request) -> Response:
        return PlainTextResponse(str(await guard.maybe_caller()))

    bench.app = Starlette(routes=[Route("/who", who), Route("/maybe", maybe)])
    guard.init_app(bench.app)
    assert bench.call("GET", "/who", issuer.bearer("alice")).text == "alice"
    assert bench.call("GET", "/maybe").text == "None"
