"""`bartizan doctor`: what could stop a start, looked at one by one. Each row is a sentence and, when bad, the cure."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from bartizan.database.place import EngineTrouble, wheel
from bartizan.protocol.refusal import Unavailable
from bartizan.stack import engines, ports, proc, seals
from bartizan.stack.check import check, local_only, warnings
from bartizan.stack.config import BrokenConfig
from bartizan.stack.home import Home, Trouble, user_name
from bartizan.stack.origins import origins
from bartizan.stack.schema import Config
from bartizan.stack.sources import from_file
from bartizan.stack.up import FILE, names

_ROOM = 512 * 1024 * 1024

Row = dict[str, str]
Found = Iterator[tuple[str, str]]  # state ("good", "note", "bad") and sentence


def examine(file: Path | None, data: Path) -> list[Row]:
    rows: list[Row] = []
    config = Config()
    chosen = file or (FILE if FILE.exists() else None)
    if chosen is not None:
        try:
            config = from_file(chosen)
        except BrokenConfig as broken:
            rows += [_row("file", "bad", fault.sentence(str(chosen))) for fault in broken.faults]
    home = Home(data)
    looks: tuple[tuple[str, Callable[[], Found]], ...] = (
        ("file", lambda: _file(config, chosen)),
        ("engines", lambda: _engines(config)),
        ("ports", lambda: _ports(config, home, chosen)),
        ("names", lambda: _names(config)),
        ("workers", lambda: _workers(config)),
        ("disk", lambda: _disk(home)),
        ("keys", lambda: _keys(home)),
        ("events", lambda: _events(home)),
    )
    for what, look in looks:
        rows += [_row(what, state, says) for state, says in look()]
    return rows


def _row(what: str, state: str, says: str) -> Row:
    return {"what": what, "state": state, "says": says}


def _file(config: Config, chosen: Path | None) -> Found:
    if chosen is None:
        yield "note", "No bartizan.toml here: the defaults for localhost are used."
    elif not check(config):
        yield "good", f"{chosen} has no faults."
    for weak in warnings(config):
        yield "note", f"{weak.key}: {weak.says}"


def _engines(config: Config) -> Found:
    wanted = engines.needed(
        embedded_database=config.database.url is None, embedded_cache=config.cache.url is None, gateway=True
    )
    for distribution, needs in wanted.items():
        try:
            wheel(distribution, needs)
        except EngineTrouble as wrong:
            yield "bad", str(wrong)
    for name, version in engines.versions().items():
        if name in ("gateway", "cache", "database"):
            yield "good", version


def _ports(config: Config, home: Home, file: Path | None) -> Found:
    if home.held():
        yield "good", "This copy runs and holds its ports."
        return
    for section, address, port in (
        ("gateway", config.gateway.address, config.gateway.port),
        ("monitoring", config.monitoring.address, config.monitoring.port),
    ):
        if ports.taken(address, port) is None:
            yield "good", f"{port} is free."
        elif names(file, section, "port"):
            yield "bad", f"{port} is in use; change {section}.port or stop the other."
        else:
            yield "note", f"{port} is in use; `up` will take the next free one."


def _names(config: Config) -> Found:
    own = origins(config)
    if local_only(config):
        yield "good", "*.localhost is this machine; nothing has to be resolved."
        return
    for url in (own.app, own.id, own.files):
        host = urlsplit(url).hostname or ""
        try:
            socket.getaddrinfo(host, None)
        except OSError:
            yield "bad", f"{host} does not resolve; give it an address in your DNS."
        else:
            yield "good", f"{host} resolves."


def _workers(config: Config) -> Found:
    wanted, cores = config.auth.workers, proc.cores()
    number = "One worker" if wanted == 1 else f"{wanted} workers"
    if wanted > cores:
        yield "note", f"{number} for auth on {cores} cores: more than there are cores bring memory, not speed."
    else:
        yield "good", f"{number} for auth, on {cores} cores."


def _disk(home: Home) -> Found:
    there = home.data
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    if free < _ROOM:
        yield "bad", f"{free // 2**20} MB are free for {home.data}; make room for {_ROOM // 2**20} MB."
    else:
        yield "good", f"{free // 2**30} GB are free for {home.data}."
    if home.data.exists() and home.data.stat().st_uid != os.geteuid():
        yield "bad", f"{home.data} belongs to {user_name(home.data.stat().st_uid)}; start as that user."


def _keys(home: Home) -> Found:
    ring = home.path("keys", "ring")
    if not ring.exists():
        yield "note", "The key ring will be made at the first start."
    elif stat.S_IMODE(ring.stat().st_mode) & 0o077:
        yield "bad", f"Others may read {ring}; run: chmod 600 {ring}"
    else:
        yield "good", "Only you may read the key ring."


def _events(home: Home) -> Found:
    """Only while it runs: to look for what could stop a start, nothing is started."""
    if not home.held():
        yield "note", "The seals of the event log are looked at while this copy runs."
        return
    try:
        yield from seals.look(home)
    except (Unavailable, Trouble, OSError) as away:
        yield "note", f"The seals of the event log could not be looked at: {away}"
