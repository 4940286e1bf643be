"""The way to the auth server (design §1: in this process by default, or behind a socket): one question, one answer.

`way_inside` calls its app, `way_outside` speaks HTTP; `stack.wiring` picks one and one contract suite holds both.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

ANSWER_LIMIT = 256 * 1024


class NoAnswer(Exception):  # noqa: N818 - what became of a question
    """Nothing came back in time, or not all of it. Whether the auth server acted nobody knows."""


class Question(Struct, frozen=True):
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]  # lower-case names, Latin-1; the way adds `host` and `content-length`
    body: bytes = b""


class Reply(Struct, frozen=True):
    status: int
    headers: tuple[tuple[bytes, bytes], ...]  # lower-case names
    body: bytes

    def header(self, name: bytes) -> str:
        return next((value.decode("latin-1") for key, value in self.headers if key == name), "")


class Way(Protocol):
    async def ask(self, question: Question, seconds: float) -> Reply:
        """Raises NoAnswer when `seconds` have passed, the way is cut, or the answer is longer than ANSWER_LIMIT.

        What was asked may go on behind: a deadline ends the waiting, not the work.
        """
        ...
