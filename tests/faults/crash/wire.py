"""One HTTP request as bytes, so that it can be cut, held, doubled and reordered before a server of ours."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from msgspec import Struct
from tests.faults.steps import Browser
from tests.fixtures.nodes import APP, ISSUER, Node
from tests.fixtures.wire import Answer

HOSTS = {"auth": ISSUER, "frontend": APP, "files": APP}


class Sent(Struct, frozen=True):
    method: str
    path: str
    headers: dict[str, str] = {}
    body: bytes | None = None
    at: str = "auth"

    def to(self, node: Node) -> Answer:
        return node.ask(self.method, self.path, headers=self.headers, body=self.body, at=self.at)

    def raw(self) -> bytes:
        body = self.body or b""
        given = {
            "host": HOSTS[self.at].partition("://")[2],
            "x-forwarded-for": "203.0.113.7",
            **self.headers,
            **({"content-length": str(len(body))} if self.method != "GET" else {}),
        }
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items()), "", ""]
        return "\r\n".join(lines).encode("ascii") + body


class _Recorder:
    """Stands where a node is asked, and asks nobody."""

    def __init__(self) -> None:
        self.sent: Sent | None = None

    def ask(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        at: str = "auth",
        timeout: float = 10.0,
    ) -> Answer:
        self.sent = Sent(method, path, dict(headers or {}), body, at)
        return Answer(0)


def sent_by(step: Callable[[Node], object]) -> Sent:
    """What a step of `steps.py` would send, without sending it."""
    recorder = _Recorder()
    step(cast("Node", recorder))
    assert recorder.sent is not None, "the step asks once"
    return recorder.sent


def submitted(browser: Browser, page: Answer, action: str, **fields: str) -> Sent:
    cookie = "; ".join(f"{name}={value}" for name, value in browser.jar.items())
    return sent_by(lambda node: Browser(node, cookie).submit(page, action, **fields))


def connected(node: Node, at: str, seconds: float = 10.0) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(seconds)
    made.connect(str(node.sockets / f"{at}.sock"))
    return made


def cut_request(node: Node, sent: Sent, after: int) -> None:
    """Sends so many bytes and hangs up."""
    with connected(node, sent.at) as wire:
        wire.sendall(sent.raw()[:after])


def cut_answer(node: Node, sent: Sent, after: int) -> bytes:
    """Sends all, reads so many bytes and hangs up: what lies unread makes it a reset."""
    got = b""
    with connected(node, sent.at) as wire, suppress(ConnectionError):
        wire.sendall(sent.raw())
        while len(got) < after:
            piece = wire.recv(after - len(got))
            if not piece:
                break
            got += piece
    return got
