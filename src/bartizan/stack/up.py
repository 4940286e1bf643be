"""`bartizan up`: from words and a file to running servers and a card (design §7, flows §12)."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from bartizan.database.place import EnginePlace, EngineTrouble, place
from bartizan.stack import card, engines, plan, ports, probes, sources, workers
from bartizan.stack import compile as compiled
from bartizan.stack.child import adopt_orphans
from bartizan.stack.config import BrokenConfig
from bartizan.stack.effective import Effective, read, ring_file, save
from bartizan.stack.forked import Nursery
from bartizan.stack.home import Home, Trouble, disk_trouble, forget_sockets, make_sockets, write
from bartizan.stack.leftovers import settle
from bartizan.stack.origins import local, origins
from bartizan.stack.schema import Config
from bartizan.stack.settled import Settled, decode
from bartizan.stack.supervisor import Facts, Supervisor

DATA = Path(".bartizan")
FILE = Path("bartizan.toml")


class Words(Struct, frozen=True, kw_only=True):
    """The words after `up`."""

    demo: bool = False
    fronted: sources.Fronted = sources.Fronted()
    https: bool = False
    config: Path | None = None
    data: Path = DATA
    port: int | None = None
    mode: str = "cookie"
    workers: int | None = None  # None: as the file says


def up(words: Words, show: Callable[[str], None], tell: Callable[[str], None]) -> None:
    """Runs until a signal. Trouble and BrokenConfig are sentences for the caller to print."""
    interrupted: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        interrupted.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    home = Home(words.data)
    written = _written(words)
    home.open()
    home.lock()
    notes = [note for note in (settle(home),) if note]
    sockets = home.sockets()
    make_sockets(sockets)
    forget_sockets(sockets)
    with disk_trouble(home.data):
        config = _configured(words, written, home, sockets, notes)
        at, where = _placed(words, config, home, sockets)
        _prepare(at, where)
        file = save(at)
    settled: list[Settled] = []
    made = plan.Plan(
        at=at, place=where, file=file, answer=lambda data: settled.append(decode(data)),
        nursery=Nursery() if adopt_orphans() else None,
    )  # fmt: skip
    supervisor = Supervisor(home, sockets, plan.specs(made), _facts(at))
    supervisor.tell = tell

    def ready() -> None:
        shown = _card(at, words, supervisor.ready_seconds or 0.0, settled[0] if settled else Settled(), notes)
        show(card.render(shown, card.style()))

    if interrupted:  # raised before, and lost: what a destructor or a weak reference's callback raises is only printed
        raise KeyboardInterrupt
    asyncio.run(supervisor.run(ready))
    shutil.rmtree(sockets, ignore_errors=True)


def effective_for(config: Path | None, data: Path) -> Effective:
    """For `serve` by itself: the file's words, or what `up` last worked with here."""
    home = Home(data)
    file = home.path("effective.json")
    if config is None and not FILE.exists():
        if not file.exists():
            raise Trouble("Name the file with --config, or start everything with: bartizan up")
        return read(file)
    home.open()
    sockets = home.sockets()
    make_sockets(sockets)
    chosen = config or FILE
    base = str(chosen.absolute().parent)
    return Effective(
        config=sources.from_file(chosen), data=str(home.data), sockets=str(sockets), engines=str(home.data), base=base
    )


def _written(words: Words) -> Config | None:
    """The file, read before anything is touched: a broken one changes nothing."""
    front = words.fronted
    if wrong := sources.unknown_path(front):
        raise BrokenConfig((wrong,), "up")
    if words.demo and (words.config or front.app or front.spa):
        raise Trouble("--demo is a configuration of its own. Leave out --config, --app and --spa, or --demo.")
    if words.config is not None and (front.app or front.spa or front.public):
        raise Trouble("The file names the routes. Leave out --app, --spa and --public, or --config.")
    if front.public and not front.app:
        raise Trouble("--public opens paths of an app. Name it with --app URL.")
    if words.config is not None:
        return sources.from_file(words.config)
    if words.demo or front.app or front.spa or not FILE.exists():
        return None
    return sources.from_file(FILE)


def _configured(words: Words, written: Config | None, home: Home, sockets: Path, notes: list[str]) -> Config:
    """Chooses the ports and puts them in. Only a port that nobody named may move."""
    file = words.config or FILE if written is not None else None
    named = words.port is not None or names(file, "gateway", "port")
    wish = words.port or (written or Config()).gateway.port
    address = (written or Config()).gateway.address
    port = ports.choose(address, wish, fixed=named, word="--port")
    if port != wish:
        notes.append(f"Port {wish} is in use, so this copy took {port}. Choose one with --port.")
    if words.demo:
        config = sources.demo(port=port, https=words.https, mode=words.mode, places=_demo_places(home, sockets))
    elif written is not None:
        config = sources.listening(written, port=port, https=words.https)
    else:
        config = sources.listening(sources.fronting(words.fronted), port=port, https=words.https)
    if words.workers is not None:
        config = replace(config, auth=replace(config.auth, workers=words.workers))
    sources.checked(config, "up")
    metrics = ports.choose(
        config.monitoring.address,
        config.monitoring.port,
        fixed=names(file, "monitoring", "port"),
        word="monitoring.port",
    )
    return replace(config, monitoring=replace(config.monitoring, port=metrics))


def names(file: Path | None, section: str, key: str) -> bool:
    """Does the file itself name this key? Only then must it hold."""
    return file is not None and key in tomllib.loads(file.read_text(encoding="utf-8")).get(section, {})


def _demo_places(home: Home, sockets: Path) -> dict[str, str]:
    secret = home.path("keys", "printshop")
    if not secret.exists():
        write(secret, os.urandom(32).hex().encode())
    return {
        "printshop_secret": str(secret),
        "api": f"unix:{sockets / 'snapshots.sock'}",
        "printshop": f"unix:{sockets / 'printshop.sock'}",
        "spa": str(Path(__file__).parents[1] / "demo" / "spa"),
    }


def _placed(words: Words, config: Config, home: Home, sockets: Path) -> tuple[Effective, EnginePlace]:
    wanted = engines.needed(
        embedded_database=config.database.url is None, embedded_cache=config.cache.url is None, gateway=True
    )
    try:
        where = place(home.data, sockets, wanted)
    except EngineTrouble as wrong:
        raise Trouble(str(wrong)) from None
    base = (words.config or FILE).absolute().parent
    at = Effective(
        config=config, data=str(home.data), sockets=str(sockets), engines=str(where.data),
        uid=where.uid, gid=where.gid, demo=words.demo, base=str(base),
    )  # fmt: skip
    return at, where


def _prepare(at: Effective, where: EnginePlace) -> None:
    """All that blocks, before the first child: keys, certificates, the cluster."""
    if at.config.keys.ring is None:
        ring_file(at.path())
    own = origins(at.config)
    if at.config.gateway.tls.mode == "local":
        from bartizan.stack import authority

        hosts = [urlsplit(url).hostname or "" for url in (own.app, own.id, own.files)]
        hosts += [urlsplit(row.host).hostname or "" for row in at.config.host]
        authority.make(at.path("ca"), tuple(dict.fromkeys(hosts)))
    try:
        if at.config.database.url is None:
            engines.postgres(at, where).prepare()
        if at.config.cache.url is None:
            engines.valkey(at, where).prepare()
    except EngineTrouble as wrong:
        raise Trouble(str(wrong)) from None


def _facts(at: Effective) -> Facts:
    own, config = origins(at.config), at.config
    urls = {"app": own.app, "id": own.id, "files": own.files, "console": f"{own.id}/admin"}
    urls["metrics"] = f"http://{config.monitoring.address}:{config.monitoring.port}/metrics"
    if not config.worker.mail.host:
        urls["inbox"] = f"{own.id}/dev/inbox"
    if at.demo:
        urls["printshop"] = config.host[0].host
    app = next((row.to for row in config.route if row.to), "")
    addresses = {name: ", ".join(f"unix:{path}" for path in workers.sockets(at, name)) for name in plan.WEB}
    addresses |= {
        "resource": app,
        "gateway": f"{config.gateway.address}:{config.gateway.port}",
        "cache": probes.place_of(compiled.cache_url(at)),
        "database": probes.place_of(compiled.database_url(at)),
        "worker": f"unix:{at.socket('status-work.sock')}",
        "monitoring": f"unix:{at.socket('monitoring.sock')}",
    }
    outside = {"resource": probes.reachable(app)} if app and not at.demo else {}
    outside |= {
        name: probes.reachable(addresses[name])
        for name, url in (("cache", config.cache.url), ("database", config.database.url))
        if url is not None
    }
    return Facts(
        urls=urls, addresses=addresses, versions=engines.versions(), outside=outside,
        retention=int(config.privacy.retention),
    )  # fmt: skip


def _card(at: Effective, words: Words, seconds: float, settled: Settled, notes: list[str]) -> card.Card:
    urls = _facts(at).urls
    app = next((row.to for row in at.config.route if row.to), "")
    remark = "Snapshots, the demo" if at.demo else f"your app at {app}" if app else ""
    rows = [("App", urls["app"], remark), ("Console", urls["console"], "")]
    if "inbox" in urls:
        rows.append(("Dev inbox", urls["inbox"], "all mail stops here"))
    if at.demo:
        rows.append(("Print shop", urls["printshop"], "a third party"))
    rows.append(("Metrics", urls["metrics"], ""))
    said = list(notes)
    if urls["app"].startswith("http://") and urls["app"] == local(at.config, "app"):
        said.append(f"Safari needs https for this: {_again(words)} --https")
    elif at.config.gateway.tls.mode == "local":
        said.append("Your browser does not know this copy's authority yet: bartizan trust")
    if not at.config.route:
        said.append("Nothing stands behind it yet: name your app with --app URL, or try --demo.")
    default = words.data == DATA
    return card.Card(
        seconds=seconds,
        setup=settled.setup,
        setup_until=settled.setup_until,
        places=tuple(rows),
        people=settled.people,
        notes=tuple(said),
        data="./.bartizan" if default else str(words.data),
        reset="bartizan reset" if default else f"bartizan reset --data {words.data}",
    )


def _again(words: Words) -> str:
    """How this was started, for a sentence that adds a word to it."""
    front = words.fronted
    said = ("--demo" if words.demo else "", front.app and f"--app {front.app}", front.spa and f"--spa {front.spa}")
    return " ".join(("bartizan up", *(word for word in said if word)))
