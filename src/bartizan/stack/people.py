"""The demo's people: the same addresses, passwords made anew at each start, so that none is ever a default."""

from __future__ import annotations

import secrets
from importlib.resources import files

from msgspec import Struct

# Short plain words; four of them are enough for a start that lives hours, on loopback, behind the sign-in limits.
_WORDS = files("bartizan").joinpath("stack/words.txt").read_text(encoding="ascii").split()


class Person(Struct, frozen=True):
    name: str
    email: str
    remark: str
    locked: bool = False


PEOPLE = (
    Person("Alice", "alice@example.com", "has photos"),
    Person("Bob", "bob@example.com", "has none yet"),
    Person("Carol", "carol@example.com", "locked", locked=True),
)


def new_password() -> str:
    return "-".join(secrets.choice(_WORDS) for _ in range(4))
