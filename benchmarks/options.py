"""The words of `python -m benchmarks`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from msgspec import Struct


class Options(Struct, frozen=True, kw_only=True):
    rows: tuple[str, ...]
    seconds: float = 2.0  # a row; the whole pass stays under three minutes
    warm_up: float = 0.8
    connections: int = 64
    families: int = 10_000
    users: int = 100_000
    clients: int = 10_000
    workers: int = 1
    runs: int = 1
    endings: int = 20  # of sessions, whose refusals are timed
    many: int = 10_000_000  # families of the row that says so
    growth: int = 256  # families of the row of that name
    idle: float = 20.0  # seconds that nobody comes
    seed: int = 0
    floor: bool = True
    profile: bool = False
    strict: bool = False


def parse(words: Sequence[str], known: Sequence[str], on_wish: Sequence[str] = ()) -> Options:
    """Exits with a sentence where a word is not one of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the hot paths beside a floor.")
    parser.add_argument(
        "rows", nargs="*", metavar="ROW", help=f"of {', '.join(known)}; default: all but {', '.join(on_wish)}"
    )
    default = Options(rows=())
    for name, what in _NUMBERS.items():
        standing = getattr(default, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(standing), default=standing, help=what)
    parser.add_argument("--no-floor", dest="floor", action="store_false", help="the product alone: quicker")
    parser.add_argument("--profile", action="store_true", help="py-spy on the web process, beside the results")
    parser.add_argument("--strict", action="store_true", help="a missed bar is an error too")
    found = parser.parse_args(words)
    unknown = [name for name in found.rows if name not in known]
    if unknown:
        parser.error(f"no row {', '.join(unknown)}; there are {', '.join(known)}")
    given = vars(found) | {"rows": tuple(name for name in known if name in (found.rows or set(known) - set(on_wish)))}
    if given["seconds"] <= 0 or given["warm_up"] < 0:
        parser.error("a window needs time")
    for name in ("connections", "families", "users", "clients", "workers", "runs", "endings", "growth", "many"):
        if given[name] < 1:
            parser.error(f"--{name} must be at least 1")
    if given["families"] < 4 * given["connections"]:
        parser.error("--families must be at least four times --connections, as every connection holds some")
    return Options(**given)


_NUMBERS = {
    "seconds": "length of a row's window",
    "warm_up": "before it",
    "connections": "at once",
    "families": "refresh families; over 200,000 several share a session (10,000,000 takes three minutes)",
    "users": "people",
    "clients": "OAuth clients",
    "workers": "processes of the auth server",
    "runs": "of the whole pass, each with the product started anew",
    "many": "families that refresh_many compares with --families",
    "endings": "sessions ended and timed",
    "growth": "families that the growth row rotates 50 times each",
    "idle": "seconds that the idle row waits",
    "seed": "of what is drawn at random",
}
