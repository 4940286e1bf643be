"""Which children a run has, and what each needs (contract: process layout). The supervisor starts what this says."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from bartizan.database import engine as database
from bartizan.database import migrations
from bartizan.database.place import EnginePlace
from bartizan.gateway import envoy
from bartizan.stack import compile as compiled
from bartizan.stack import engines, workers
from bartizan.stack.child import Spec
from bartizan.stack.effective import Effective, secret
from bartizan.stack.forked import Birth, Nursery
from bartizan.stack.origins import origins
from bartizan.stack.probes import engine, http, reachable

WEB, WORK, AGENT = (compiled.PROCESSES[name] for name in ("web", "work", "agent"))


class Plan(Struct, frozen=True, kw_only=True):
    at: Effective
    place: EnginePlace
    file: Path  # the effective configuration, for the children
    answer: Callable[[bytes], None]  # what the web process tells when it has settled the data
    nursery: Nursery | None = None  # where the kernel allows one (decision 0009)


def specs(plan: Plan) -> tuple[Spec, ...]:
    at = plan.at
    rows = [*_stores(plan)]
    before: tuple[str, ...] = ()
    if needs_migration(at):
        stored = ("database",) if at.config.database.url is None else ()
        rows.append(_ours(plan, "migrate", (), ("migrate",), once=True, needs=stored))
        before = ("migrate",)
    if plan.nursery is not None:
        rows.append(_nursery(plan, plan.nursery))
    first, *others = workers.processes(at)
    rows.append(_ours(plan, first, WEB, WEB, needs=before, answer=plan.answer))
    rows += [_ours(plan, name, WEB, WEB, needs=before, like=first) for name in others]
    rows.append(_ours(plan, "agent", AGENT, AGENT))
    rows.append(_ours(plan, "work", WORK, WORK, needs=before))
    rows.append(_envoy(plan))
    if at.demo:
        rows.append(_demo(plan))
    return tuple(rows)


def _stores(plan: Plan) -> list[Spec]:
    at, rows = plan.at, []
    if at.config.database.url is None:
        server = engines.postgres(at, plan.place)
        rows.append(
            Spec(
                name="database", servers=("database",), command=server.command, probe=engine(server.ready),
                environment=server.environment(), uid=at.uid, gid=at.gid,
                stop_signal=database.STOP_SIGNAL, stop_last=True,
            )
        )  # fmt: skip
    if at.config.cache.url is None:
        memory = engines.valkey(at, plan.place)
        rows.append(
            Spec(
                name="cache", servers=("cache",), command=memory.command, probe=engine(memory.ready),
                environment=memory.environment(), uid=at.uid, gid=at.gid, stop_last=True,
            )
        )  # fmt: skip
    return rows


def _ours(
    plan: Plan,
    name: str,
    servers: tuple[str, ...],
    words: tuple[str, ...],
    *,
    once: bool = False,
    needs: tuple[str, ...] = (),
    answer: Callable[[bytes], None] | None = None,
    like: str = "",
) -> Spec:
    command = [sys.executable, "-P", "-m", "bartizan.stack.serve", str(plan.file), *words]
    return Spec(
        name=name,
        servers=servers,
        command=lambda: command,
        probe=http(plan.at.socket(f"status-{name}.sock"), "/readyz"),
        environment=environment(plan.at) | {"BARTIZAN_PROCESS": name},
        needs=needs,
        once=once,
        answer=answer,
        like=like,
        nursery=plan.nursery,
        birth=Birth(name, servers) if servers else None,
    )


def _nursery(plan: Plan, nursery: Nursery) -> Spec:
    """First what the start waits for."""
    sets = ["+".join(servers) for servers in (WEB, AGENT, WORK)]

    async def always() -> bool:
        return True  # nobody waits for it: a request waits in its socket

    return Spec(
        name="nursery",
        servers=(),
        command=lambda: [sys.executable, "-P", "-m", "bartizan.stack.nursery", str(plan.file), *sets],
        probe=always,
        environment=environment(plan.at),
        line=nursery.connected,
    )


def _envoy(plan: Plan) -> Spec:
    """Its files are compiled by the web process, which holds all route tables; it starts closed; the agent opens."""
    at = plan.at

    return Spec(
        name="envoy",
        servers=("gateway",),
        command=lambda: list(envoy.command(compiled.gateway(at, ()), engines.envoy(plan.place))),
        probe=http(at.socket("envoy-admin.sock"), "/ready"),
        environment={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
        needs=("web",),
        leash="agent",
        uid=at.uid,
        gid=at.gid,
    )


def _demo(plan: Plan) -> Spec:
    """Snapshots' API, which is the resource server of the demo, and the print shop: strangers, told by environment."""
    at = plan.at
    listen = [at.socket("snapshots.sock"), at.socket("printshop.sock")]

    def ready() -> bool:
        """Both answer; and the gateway, which root runs under another user, may connect."""
        if not all(reachable(f"unix:{path}")() for path in listen):
            return False
        for path in listen if at.uid is not None else ():
            os.chown(path, at.uid or -1, at.gid or -1)
        return True

    return Spec(
        name="demo",
        servers=("resource",),
        command=lambda: [sys.executable, "-P", "-m", "bartizan.demo"],
        probe=engine(ready),
        environment=demo_environment(at),
    )


def demo_environment(at: Effective) -> dict[str, str]:
    own, config = origins(at.config), at.config
    shop = next(row for row in config.auth.client if row.id == "printshop")
    return environment(at) | {
        "SNAPSHOTS_LISTEN": f"unix:{at.socket('snapshots.sock')}",
        "SNAPSHOTS_ISSUER": own.id,
        "SNAPSHOTS_APP_ORIGIN": own.app,
        "SNAPSHOTS_PRINT_ORIGIN": config.host[0].host,
        "SNAPSHOTS_DATA": str(at.path("demo")),
        "PRINTSHOP_LISTEN": f"unix:{at.socket('printshop.sock')}",
        "PRINTSHOP_ORIGIN": config.host[0].host,
        "PRINTSHOP_ISSUER": own.id,
        "PRINTSHOP_API": own.app,
        "PRINTSHOP_FILES": own.files,
        "PRINTSHOP_CLIENT_ID": shop.id,
        "PRINTSHOP_CLIENT_SECRET": secret(at, shop.secret, "auth.client printshop.secret") if shop.secret else "",
    }


def environment(at: Effective) -> dict[str, str]:
    """What our own processes inherit: the references of the file may name any of it."""
    given = dict(os.environ)
    if at.config.gateway.tls.mode == "local":
        from bartizan.stack import authority

        given |= authority.environment(at.path("ca"))
    # One heap for all threads: they allocate little, and what another one frees does not go back (stack/memory.py).
    return given | {"PYTHONUNBUFFERED": "1", "MALLOC_ARENA_MAX": "1"}


def needs_migration(at: Effective) -> bool:
    """A database of somebody else's is always asked; of our own we wrote down what it is at."""
    stamp = stamp_file(at)
    return at.config.database.url is not None or not stamp.exists() or stamp.read_text() != schema()


def stamp_file(at: Effective) -> Path:
    return Path(at.engines, "schema")


def schema() -> str:
    """All migrations of this release, by name: cheap, where asking Alembic costs half a second."""
    names = sorted(entry.name for entry in Path(migrations.__file__).parent.glob("versions/*.py"))
    return hashlib.sha256("\n".join(names).encode()).hexdigest()
