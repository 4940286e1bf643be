"""Clients that refresh without a pause, over nodes that die under them. Each keeps its last token and asks again.

A client asks the next node when one gives no answer, as a gateway or a library would, and stops only where it is told
that its session is over: which here must never happen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol
from uuid import UUID

from tests.faults import steps
from tests.faults.crash.app_browser import AppBrowser
from tests.faults.crash.wire import Sent, sent_by
from tests.fixtures.nodes import Node
from tests.fixtures.wire import Answer, NotSentError, Wire

_PAUSE = 0.02  # seconds before the next try, where nobody answers


class Client(Protocol):
    rounds: int

    def next(self) -> Sent: ...

    def got(self, answer: Answer) -> bool:
        """False: told that the session is over."""
        ...


class TokenChain:
    def __init__(self, family_id: UUID, token: str) -> None:
        self.family_id = family_id
        self.token = token
        self.rounds = 0

    def next(self) -> Sent:
        return sent_by(lambda node: steps.refreshed(node, self.token))

    def got(self, answer: Answer) -> bool:
        if answer.status == 200:
            self.token = str(answer.json()["refresh_token"])
            self.rounds += 1
        return answer.status in (200, 503)


class BrowserChain:
    def __init__(self, browser: AppBrowser) -> None:
        self.browser = browser
        self.rounds = 0

    def next(self) -> Sent:
        return self.browser.posted("/bff/refresh")

    def got(self, answer: Answer) -> bool:
        if answer.status == 200:
            self.browser.keep(answer)
            self.rounds += 1
        return answer.status in (200, 503)


class Load:
    """Runs clients beside what a test does to the nodes."""

    def __init__(self, clients: Sequence[Client], nodes: Sequence[Node]) -> None:
        self._clients = clients
        self._nodes = nodes
        self.over: list[Answer] = []  # the answers that told a client that it is logged out
        self.lost = 0  # requests without an answer

    async def run(self, until: asyncio.Event) -> None:
        await asyncio.gather(*(self._walk(number, one, until) for number, one in enumerate(self._clients)))

    async def _walk(self, number: int, client: Client, until: asyncio.Event) -> None:
        at = number
        while not until.is_set():
            answer = await ask(self._nodes[at % len(self._nodes)], client.next())
            if answer.status == 0:
                self.lost += 1
                at += 1
                await asyncio.sleep(_PAUSE)
            elif not client.got(answer):
                self.over.append(answer)
                return


async def ask(node: Node, sent: Sent) -> Answer:
    """On a connection of its own; status 0 when it broke."""
    return (await ask_raw(door(node, sent.at), sent.raw()))[1]


async def together(node: Node, asked: Sequence[Sent]) -> list[Answer]:
    return await asyncio.gather(*(ask(node, one) for one in asked))


def door(node: Node, at: str) -> Path:
    return node.sockets / f"{at}.sock"


async def ask_raw(place: Path, request: bytes, seconds: float = 10.0) -> tuple[bytes, Answer]:
    """The answer as it came, and as it reads; on a connection of its own."""
    wire = Wire(place)
    try:
        return await wire.exchange(request, seconds)
    except NotSentError:
        return b"", Answer(0)
    finally:
        wire.close()
