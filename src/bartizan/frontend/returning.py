"""Flows §4: `return_to` is the last parameter, taken raw to the end of the query, and stays on the app origin."""

from __future__ import annotations

from msgspec import Struct

from bartizan.protocol.refusal import Refused
from bartizan.protocol.web import origins

_NAME = "return_to="


class Asked(Struct, frozen=True):
    flags: frozenset[str]  # the parameters before it; each is there with the value "1", once
    return_to: str


def read(query: bytes, *, flags: tuple[str, ...] = ()) -> Asked:
    """Anything before `return_to` that is not one of `flags` is refused."""
    try:
        text = query.decode("ascii")
    except UnicodeDecodeError:
        raise _bad("the query is not ASCII") from None
    if text.startswith(_NAME):
        before, found, raw = "", True, text.removeprefix(_NAME)
    else:
        before, mark, raw = text.partition("&" + _NAME)
        found = bool(mark)
    seen: list[str] = []
    for pair in before.split("&") if before else ():
        name, _, value = pair.partition("=")
        if name not in flags or value != "1" or name in seen:
            raise _bad(f"parameter {pair[:60]!r}")
        seen.append(name)
    return Asked(frozenset(seen), origins.return_to(raw) if found else "/")


def _bad(note: str) -> Refused:
    return Refused("invalid_request", "The address is not well formed.", note)
