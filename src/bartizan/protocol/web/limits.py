"""How limits are written in config and code: `100/minute per user`."""

from __future__ import annotations

import re
from enum import StrEnum

from msgspec import Struct

_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_LIMIT = re.compile(
    r"(?P<amount>[1-9][0-9]{0,8}) ?/ ?(?:(?P<count>[1-9][0-9]{0,4}) ?)?(?P<unit>second|minute|hour|day)s?"
    r"(?: per (?P<per>user|address|client))?",
    re.ASCII,
)


class Per(StrEnum):
    USER = "user"
    ADDRESS = "address"
    CLIENT = "client"


class Rate(Struct, frozen=True):
    """At most `amount` in `seconds`, counted for each `per`."""

    amount: int
    seconds: int
    per: Per

    def __str__(self) -> str:
        unit = next((name for name, seconds in _UNITS.items() if seconds == self.seconds), f"{self.seconds} seconds")
        return f"{self.amount}/{unit} per {self.per}"


def parse(text: str, per: Per = Per.ADDRESS) -> Rate:
    """`30/minute`, `5/10 minutes per address`; `per` where the text names none. Else ValueError."""
    found = _LIMIT.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no limit: write 100/minute, 5/hour per address, 20/day per user")
    seconds = int(found["count"] or 1) * _UNITS[found["unit"]]
    return Rate(int(found["amount"]), seconds, Per(found["per"] or per))
