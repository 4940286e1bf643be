"""What a history is made of: calls with the times at which they were made and answered, as the client saw them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec import Struct

NEVER = float("inf")


class Kind(StrEnum):
    REFRESH = "refresh"
    REDEEM = "redeem"
    REVOKE = "revoke"
    LOGOUT = "logout"
    ASK_REFRESH = "introspect refresh"
    ASK_ACCESS = "introspect access"


READS = frozenset((Kind.ASK_REFRESH, Kind.ASK_ACCESS))  # they change nothing
REFUSED = 0
DONE = 1  # of a revoke or a logout; for an introspection: active


class Call(Struct, frozen=True, kw_only=True):
    """`said`: the generation that a refresh or a redemption gave, REFUSED, or DONE.

    `returned` None: the connection broke, or the answer was 503. It may have happened, at any time after `invoked`.
    """

    grant: int
    kind: Kind
    invoked: float
    returned: float | None = None
    generation: int = 0  # of the refresh token presented
    said: int = REFUSED
    node: str = ""

    @property
    def known(self) -> bool:
        return self.returned is not None

    @property
    def latest(self) -> float:
        """It had happened by then."""
        return NEVER if self.returned is None else self.returned


def save(path: Path, calls: list[Call]) -> None:
    path.write_bytes(b"\n".join(map(msgspec.json.encode, calls)))


def load(path: Path) -> list[Call]:
    return [msgspec.json.decode(line, type=Call) for line in path.read_bytes().splitlines()]
