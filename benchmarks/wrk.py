"""`wrk`, where the request is fixed and goes by TCP: its words, and what it prints."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping

from msgspec import Struct

from benchmarks.figures import Load

_UNITS = {"us": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9}
_COUNT = re.compile(r"^\s*(\d+) requests in ([\d.]+)(us|ms|s|m)", re.MULTILINE)
_PERCENTILE = re.compile(r"^\s*(50|99)%\s+([\d.]+)(us|ms|s|m)\s*$", re.MULTILINE)
_NOT_2XX = re.compile(r"^\s*Non-2xx or 3xx responses: (\d+)", re.MULTILINE)
_SOCKETS = re.compile(r"^\s*Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", re.MULTILINE)


class Said(Struct, frozen=True, kw_only=True):
    units: int
    seconds: float
    p50: float  # ns
    p99: float
    bad: int


def read(text: str) -> Said:
    """Raises ValueError where it is not what wrk prints."""
    count = _COUNT.search(text)
    percentiles = {found[1]: float(found[2]) * _UNITS[found[3]] for found in _PERCENTILE.finditer(text)}
    if count is None or percentiles.keys() != {"50", "99"}:
        raise ValueError(f"not what wrk prints: {text[:300]!r}")
    failed = _NOT_2XX.search(text)
    sockets = _SOCKETS.search(text)
    return Said(
        units=int(count[1]),
        seconds=float(count[2]) * _UNITS[count[3]] / 1e9,
        p50=percentiles["50"],
        p99=percentiles["99"],
        bad=(int(failed[1]) if failed else 0) + (sum(map(int, sockets.groups())) if sockets else 0),
    )


def run(
    url: str,
    headers: Mapping[str, str],
    *,
    connections: int,
    warm_up: float,
    seconds: float,
    opened: Callable[[], None],
    closed: Callable[[], None],
) -> Load:
    """Once to warm up, once to be counted. wrk takes whole seconds. A redirect is bad here, though wrk takes it."""
    program = shutil.which("wrk")
    if program is None:
        raise RuntimeError("wrk is not installed: it is a package of Debian's")
    words = [program, "--latency", "-t", "1", "-c", str(connections)]
    # Its script looks for "Host" in that very spelling before it adds one of its own.
    named = {("Host" if name == "host" else name): value for name, value in headers.items()}
    words += [word for name, value in named.items() for word in ("-H", f"{name}: {value}")]
    if warm_up:
        _once(words, max(1, round(warm_up)), url)
    opened()
    before = os.times()
    said = read(_once(words, max(1, round(seconds)), url))
    after = os.times()
    closed()
    own = after.children_user + after.children_system - before.children_user - before.children_system
    return Load(
        units=said.units,
        bad=said.bad,
        seconds=said.seconds,
        latencies=[round(said.p50)] * 98 + [round(said.p99)] * 2,  # the two percentiles that are read again
        own_cpu=own / said.seconds,
    )


def _once(words: list[str], seconds: int, url: str) -> str:
    done = subprocess.run(
        [*words, "-d", f"{seconds}s", url], capture_output=True, text=True, timeout=seconds + 20, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"wrk failed: {(done.stderr or done.stdout).strip()[-200:]}")
    return done.stdout
