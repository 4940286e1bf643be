"""The guard inside the app: what a request costs more than in the same app without it. In this process, one thread.

Keys and the list of the ended come from the running product, as in any app; so do the tokens.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from werkzeug.test import EnvironBuilder

from bartizan.guard import asgi, flask
from bartizan.guard.keys import Watch
from benchmarks.figures import Result, Row
from benchmarks.generator import ask
from benchmarks.rows.fixed import client_credentials_walkers
from benchmarks.stage import Stage

WARM_BAR, COLD_BAR, ASGI_BAR = 0.030, 0.200, 0.025  # ms
_ROUNDS, _BATCH = 30, 200
_COLD_ROUNDS, _COLD_BATCH = 15, 20
_PATH = "/api/thing"


class Resource:
    """A ten-line Flask app under guard, as a user writes it."""

    def __init__(self, stage: Stage) -> None:
        settings = stage.settings
        self.watch = Watch(settings.issuer)
        self.app = Flask("guarded")
        guard = flask.Guard(
            self.app, issuer=settings.issuer, audience=settings.app_origin, app_origin=settings.app_origin,
            source=self.watch,
        )  # fmt: skip

        @self.app.get(_PATH)
        @guard.scopes("photos.read")
        def thing() -> str:
            return guard.user.sub

    def status(self, token: str) -> int:
        return _call(self.app, _environ(token))

    def stop(self) -> None:
        self.watch.stop()


def guard_warm(stage: Stage) -> Result:
    tokens = _tokens(stage, 1)
    return _result("guard_warm", _added(_seen(stage), [tokens * _BATCH] * _ROUNDS), WARM_BAR)


def guard_cold(stage: Stage) -> Result:
    """Every token is one that the guard has not seen: the signature is checked each time."""
    tokens = _tokens(stage, _COLD_BATCH * _COLD_ROUNDS)
    batches = [tokens[at : at + _COLD_BATCH] for at in range(0, len(tokens), _COLD_BATCH)]
    return _result("guard_cold", _added(_seen(stage), batches), COLD_BAR)


def guard_asgi_warm(stage: Stage) -> Result:
    return _result("guard_asgi_warm", asyncio.run(_added_asgi(stage, _tokens(stage, 1)[0])), ASGI_BAR)


def _result(name: str, added: float, bar: float) -> Result:
    ms = round(added * 1000, 4)
    row = Row(name=name, cpu_ms=ms, cpu_server_ms=ms, bar=bar)
    return Result(row=row, met=ms <= bar, beside={"said": f"{ms * 1000:.1f} µs of {bar * 1000:g} µs"})


def _added(resource: Resource, batches: Iterable[list[str]]) -> float:
    """Seconds a request; batches with and without take turns, so that what else the machine does hits both."""
    plain = Flask("plain")

    @plain.get(_PATH)
    def thing() -> str:
        return "somebody"

    with_guard, without = [], []
    for tokens in batches:
        environs = [_environ(token) for token in tokens]
        with_guard.append(_timed(resource.app, environs))
        without.append(_timed(plain, [dict(environ) for environ in environs]))
    resource.stop()
    return statistics.median(with_guard) - statistics.median(without)


def _timed(app: Flask, environs: list[dict[str, Any]]) -> float:
    begun = time.perf_counter()
    for environ in environs:
        if _call(app, environ) != 200:
            raise RuntimeError("the guard refuses a good token")
    return (time.perf_counter() - begun) / len(environs)


def _call(app: Flask, environ: dict[str, Any]) -> int:
    told: list[str] = []

    def start(status: str, headers: list[tuple[str, str]], *_: object) -> Callable[[bytes], object]:
        told.append(status)
        return told.append  # type: ignore[return-value]  # nobody writes by it

    b"".join(app(environ, start))
    return int(told[0][:3])


def _environ(token: str) -> dict[str, Any]:
    return EnvironBuilder(path=_PATH, headers=[("authorization", f"Bearer {token}")]).get_environ()


async def _added_asgi(stage: Stage, token: str) -> float:
    async def thing(request: Request) -> PlainTextResponse:
        return PlainTextResponse("somebody")

    settings = stage.settings
    plain, guarded = Starlette(routes=[Route(_PATH, thing)]), Starlette()
    watch = Watch(settings.issuer)
    guard = asgi.Guard(
        guarded, issuer=settings.issuer, audience=settings.app_origin, app_origin=settings.app_origin, source=watch
    )

    @guard.scopes("photos.read")
    async def mine(request: Request) -> PlainTextResponse:
        return PlainTextResponse("somebody")

    guarded.router.routes.append(Route(_PATH, mine))
    with_guard, without = [], []
    for _ in range(_ROUNDS):
        with_guard.append(await _timed_asgi(guarded, token))
        without.append(await _timed_asgi(plain, token))
    watch.stop()
    return statistics.median(with_guard[1:]) - statistics.median(without[1:])  # the first one fetched the keys


async def _timed_asgi(app: Starlette, token: str) -> float:
    headers = [(b"host", b"app.localhost"), (b"authorization", b"Bearer " + token.encode())]
    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "path": _PATH, "raw_path": _PATH.encode(),
        "query_string": b"", "headers": headers, "scheme": "http", "server": ("app.localhost", 80),
        "client": ("127.0.0.1", 1), "root_path": "",
    }  # fmt: skip
    told: list[int] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            told.append(message["status"])

    begun = time.perf_counter()
    for _ in range(_BATCH):
        await app(dict(scope), receive, send)
    lasted = (time.perf_counter() - begun) / _BATCH
    if set(told) != {200}:
        raise RuntimeError(f"the guard answers {sorted(set(told))}")
    return lasted


def _seen(stage: Stage) -> Resource:
    """It has fetched keys and feed, and its first request is over."""
    resource = Resource(stage)
    if resource.status(_tokens(stage, 1)[0]) != 200:
        raise RuntimeError("the guard refuses a good token")
    return resource


def _tokens(stage: Stage, count: int) -> list[str]:
    """Distinct ones, of the clients for themselves."""
    found = []
    for walker in client_credentials_walkers(stage, count):
        token = ask(stage.auth_door, walker.begin()).text(b"access_token")
        if token is None:
            raise RuntimeError("no token for the guard")
        found.append(token.decode())
    return found
