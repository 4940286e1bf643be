"""One contract for both ways to the auth server (design §1): what goes out, what comes back, and when nothing does."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.unit.frontend.house import SCRIPT, Browser

from bartizan.frontend.way import ANSWER_LIMIT, NoAnswer, Question, Reply, Way
from bartizan.frontend.way_inside import Inside
from bartizan.frontend.way_outside import Outside
from bartizan.web.body import announced_length

ID = "http://id.localhost:8080"
HEADERS = (
    ("authorization", "Basic YTpi"),
    ("content-type", "application/x-www-form-urlencoded"),
    ("x-forwarded-for", "203.0.113.7"),
    ("x-request-id", "r-1"),
    ("user-agent", "Ada's browser"),
)
ASKED = Question("POST", "/token", HEADERS, b"grant_type=refresh_token")


@asynccontextmanager
async def inside(app: ASGIApp, _directory: Path) -> AsyncIterator[Way]:
    yield Inside(app, ID)


@asynccontextmanager
async def outside(app: ASGIApp, directory: Path) -> AsyncIterator[Way]:
    path = directory / "s"
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, server_header=False))
        serving = asyncio.create_task(server.serve(sockets=[door]))
        way = Outside(f"unix:{path}", ID)
        try:
            yield way
        finally:
            await way.close()
            server.should_exit = server.force_exit = True
            await serving


both = pytest.mark.parametrize("way", [inside, outside])


def asking(way: object, directory: Path, app: ASGIApp, work: Callable[[Way], Awaitable[object]]) -> object:
    async def run() -> object:
        async with way(app, directory) as opened:  # type: ignore[operator]  # one of the two above
            return await work(opened)

    return asyncio.run(run())


async def said(send: Send, *pieces: bytes, status: int = 200) -> None:
    await send({"type": "http.response.start", "status": status, "headers": []})
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@both
def test_what_goes_out(way: object, tmp_path: Path) -> None:
    seen: dict[str, object] = {}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        seen.update(scope, body=message["body"], more=message["more_body"], length=announced_length(scope))
        await said(send, b"{}")

    asking(way, tmp_path, app, lambda opened: opened.ask(ASKED, 5))
    headers = dict(seen["headers"])  # type: ignore[call-overload]  # pairs of bytes
    assert (seen["type"], seen["method"], seen["path"], seen["query_string"]) == ("http", "POST", "/token", b"")
    assert (seen["body"], seen["more"], seen["length"]) == (ASKED.body, False, len(ASKED.body))
    assert headers[b"host"] == b"id.localhost:8080"
    for name, value in HEADERS:
        assert headers[name.encode()] == value.encode()


@both
def test_what_comes_back(way: object, tmp_path: Path) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 429, "headers": [(b"retry-after", b"7")]})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})
        await send({"type": "http.response.body", "body": b"}"})

    answer = asking(way, tmp_path, app, lambda opened: opened.ask(ASKED, 5))
    assert isinstance(answer, Reply)
    assert (answer.status, answer.body) == (429, b"{}")
    assert (answer.header(b"retry-after"), answer.header(b"x-none")) == ("7", "")


@both
def test_what_an_answer_sets_does_not_travel_with_the_next_question(way: object, tmp_path: Path) -> None:
    brought: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        brought.extend(value for name, value in scope["headers"] if name == b"cookie")
        headers = [(b"set-cookie", b"whose=ada; Path=/"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})

    async def twice(opened: Way) -> None:
        await opened.ask(ASKED, 5)
        await asyncio.gather(opened.ask(ASKED, 5), opened.ask(ASKED, 5))

    asking(way, tmp_path, app, twice)
    assert brought == []


@both
def test_a_redirect_is_an_answer_and_is_not_followed(way: object, tmp_path: Path) -> None:
    asked: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append(scope["path"])
        headers = [(b"location", b"/elsewhere"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 307, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    answer = asking(way, tmp_path, app, lambda opened: opened.ask(ASKED, 5))
    assert isinstance(answer, Reply)
    assert (answer.status, asked) == (307, ["/token"])


@both
def test_the_deadline_ends_the_waiting_and_not_the_work(way: object, tmp_path: Path) -> None:
    async def check(opened: Way) -> None:
        with pytest.raises(NoAnswer):
            await opened.ask(ASKED, 0.05)
        go_on.set()
        await asyncio.wait_for(done.wait(), 5)

    go_on, done = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await go_on.wait()
        done.set()
        await said(send, b"{}")

    asking(way, tmp_path, app, check)


@both
def test_half_an_answer_is_none(way: object, tmp_path: Path) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
        await send({"type": "http.response.body", "body": b'{"a"', "more_body": True})
        raise RuntimeError("broke")

    with pytest.raises(NoAnswer):
        asking(way, tmp_path, app, lambda opened: opened.ask(ASKED, 5))


@both
def test_an_app_that_breaks_before_it_answers_is_500(way: object, tmp_path: Path) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("broke")

    answer = asking(way, tmp_path, app, lambda opened: opened.ask(ASKED, 5))
    assert isinstance(answer, Reply)
    assert answer.status == 500


@both
def test_an_answer_without_end_is_cut(way: object, tmp_path: Path) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await said(send, *(b"x" * 65_536 for _ in range(ANSWER_LIMIT // 65_536)), b"x")

    with pytest.raises(NoAnswer):
        asking(way, tmp_path, app, lambda opened: opened.ask(ASKED, 5))


@both
def test_who_waits_for_the_asker_to_go_hears_of_it(way: object, tmp_path: Path) -> None:
    heard: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        heard.append((await receive())["type"])
        gone.set()

    async def check(opened: Way) -> None:
        with pytest.raises(NoAnswer):
            await opened.ask(ASKED, 0.05)
        await asyncio.wait_for(gone.wait(), 5)

    gone = asyncio.Event()
    asking(way, tmp_path, app, check)
    assert heard == ["http.disconnect"]


@both
def test_the_asker_keeps_its_own_log_context(way: object, tmp_path: Path) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        structlog.contextvars.bind_contextvars(request_id="of the auth server")
        await said(send, b"{}")
        structlog.contextvars.unbind_contextvars("request_id")

    async def check(opened: Way) -> object:
        structlog.contextvars.bind_contextvars(request_id="ours")
        await opened.ask(ASKED, 5)
        return structlog.contextvars.get_contextvars()["request_id"]

    assert asking(way, tmp_path, app, check) == "ours"


@both
def test_fifty_at_once_get_each_its_own(way: object, tmp_path: Path) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = (await receive())["body"]
        await asyncio.sleep(0)
        await said(send, body)

    async def check(opened: Way) -> object:
        questions = [Question("POST", "/token", HEADERS, str(number).encode()) for number in range(50)]
        answers = await asyncio.gather(*(opened.ask(question, 5) for question in questions))
        return [answer.body for answer in answers]

    assert asking(way, tmp_path, app, check) == [str(number).encode() for number in range(50)]


def test_nobody_at_the_socket_is_no_answer(tmp_path: Path) -> None:
    with pytest.raises(NoAnswer):
        asyncio.run(Outside(f"unix:{tmp_path}/none", ID).ask(ASKED, 1))


def test_an_asker_that_is_cut_does_not_cut_the_rotation() -> None:
    """Whoever closes the tab in the middle: what was committed is also logged and counted."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        began.set()
        await go_on.wait()
        await said(send, b"{}")
        done.set()

    async def check() -> None:
        asker = asyncio.create_task(Inside(app, ID).ask(ASKED, 5))
        await began.wait()
        asker.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asker
        go_on.set()
        await asyncio.wait_for(done.wait(), 5)

    began, go_on, done = asyncio.Event(), asyncio.Event(), asyncio.Event()
    asyncio.run(check())


def test_two_tries_have_one_deadline() -> None:
    with Browser() as browser:
        browser.sign_in()
        browser.wire.given.clear()
        browser.wire.lose_answers = 1
        assert browser.post("/bff/refresh", SCRIPT).status == 200
        first, second = browser.wire.given
        assert second < first <= browser.settings.auth_timeout
