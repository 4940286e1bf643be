"""A store to work on, whether the instance runs or not (issue 3). If not, its PostgreSQL is started for the command."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from msgspec import Struct

from bartizan.database.engine import STOP_SIGNAL, Postgres
from bartizan.database.place import EngineTrouble, place
from bartizan.database.store import PostgresStore, connect
from bartizan.protocol.secrets import KeyRing
from bartizan.stack import compile as compiled
from bartizan.stack import effective, engines, sources
from bartizan.stack.child import tie
from bartizan.stack.effective import Effective
from bartizan.stack.home import Home, Trouble, make_sockets
from bartizan.stack.leftovers import settle
from bartizan.stack.plan import needs_migration

_START_SECONDS = 20.0
_ONLY_DATABASE = engines.needed(embedded_database=True, embedded_cache=False, gateway=False)


class Instance(Struct, frozen=True, kw_only=True):
    at: Effective
    store: PostgresStore
    ring: KeyRing


@contextlib.asynccontextmanager
async def opened(data: Path, config: Path | None) -> AsyncIterator[Instance]:
    home = Home(data)
    if not home.exists():
        raise Trouble(f"There is no instance in {data}. Start one with: bartizan up --data {data}")
    with _at(home, config) as (at, cluster):
        async with _running(cluster):
            if cluster is not None and needs_migration(at):
                from bartizan.stack.migrate import migrate

                await migrate(at)
            ring = effective.ring(at)
            store = await connect(compiled.database(at), ring)
            try:
                yield Instance(at=at, store=store, ring=ring)
            finally:
                await store.close()


@contextlib.contextmanager
def _at(home: Home, config: Path | None) -> Iterator[tuple[Effective, Postgres | None]]:
    """What it works with, and the cluster that has to be started for that, if any."""
    file = home.path("effective.json")
    if home.held():
        yield effective.read(file), None
        return
    home.open()
    home.lock()
    try:
        settle(home)
        at = _stopped(home, file, config)
        if at.config.database.url is not None:
            yield at, None
            return
        make_sockets(Path(at.sockets))
        where = place(home.data, Path(at.sockets), _ONLY_DATABASE)
        cluster = engines.postgres(at, where)
        cluster.prepare()
        yield at, cluster
    except EngineTrouble as wrong:
        raise Trouble(str(wrong)) from None
    finally:
        shutil.rmtree(home.sockets(), ignore_errors=True)  # nothing listens there any more
        home.unlock()


def _stopped(home: Home, file: Path, config: Path | None) -> Effective:
    if config is None and file.exists():
        return effective.read(file)
    if config is None:
        raise Trouble(f"{home.data} has never been started. Start it with: bartizan up --data {home.data}")
    sockets = home.sockets()
    make_sockets(sockets)
    where = place(home.data, sockets, _ONLY_DATABASE)
    at = Effective(
        config=sources.from_file(config), data=str(home.data), sockets=str(sockets), engines=str(where.data),
        uid=where.uid, gid=where.gid, base=str(config.absolute().parent),
    )  # fmt: skip
    if made := effective.new_ring(at):
        sys.stderr.write(f"{made}\n")
    return at


@contextlib.asynccontextmanager
async def _running(cluster: Postgres | None) -> AsyncIterator[None]:
    if cluster is None:
        yield
        return
    process = subprocess.Popen(  # noqa: S603, ASYNC220 - our own program; starting it does not block
        cluster.command(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env=cluster.environment(), cwd="/", start_new_session=True,
        user=cluster.uid, group=cluster.gid, extra_groups=[] if cluster.uid is not None else None,
        preexec_fn=tie(os.getpid(), STOP_SIGNAL),
    )  # fmt: skip
    try:
        async with asyncio.timeout(_START_SECONDS):
            while not cluster.ready():
                if process.poll() is not None:
                    raise Trouble(f"PostgreSQL does not start on {cluster.data}.")
                await asyncio.sleep(0.02)  # PostgreSQL tells nobody when it is ready
        yield
    finally:
        process.send_signal(STOP_SIGNAL)
        await asyncio.to_thread(process.wait)
