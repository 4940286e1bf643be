"""Where a configuration comes from: a file, the packaged demo, or the words of `up --app URL --spa URL` (flows §9)."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from string import Template

from msgspec import Struct
from msgspec.structs import replace

from bartizan.stack.check import check
from bartizan.stack.config import BrokenConfig, Fault, Lines, load, parse
from bartizan.stack.origins import local
from bartizan.stack.schema import Config, FilesRow, Gateway, RouteRow, Tls

DEMO = "stack/demo.toml"


class Fronted(Struct, frozen=True, kw_only=True):
    """What `--app`, `--spa` and `--public` say."""

    app: str = ""
    spa: str = ""
    public: tuple[str, ...] = ()
    prefix: str = "/api/"


def from_file(path: Path) -> Config:
    """Raises BrokenConfig with every fault of shape, or else every fault of meaning."""
    config = load(path)
    if faults := check(config, Lines(path.read_text(encoding="utf-8"))):
        raise BrokenConfig(faults, str(path))
    return config


def checked(config: Config, what: str) -> Config:
    if faults := check(config):
        raise BrokenConfig(faults, what)
    return config


def listening(config: Config, *, port: int | None, https: bool) -> Config:
    """The words of `up` weigh more than the file's."""
    gateway = config.gateway
    tls = Tls(mode="local") if https and gateway.tls.mode == "off" else gateway.tls
    return replace(config, gateway=replace(gateway, port=port or gateway.port, tls=tls))


def fronting(words: Fronted) -> Config:
    """An app that knows nothing of us. Alone it gets every path; with an SPA what lies below the prefix."""
    prefix = "/" + words.prefix.strip("/") + "/" if words.prefix.strip("/") else "/"
    rows: list[RouteRow] = []
    if words.app and words.spa:
        rows += [RouteRow(path=prefix, to=words.app, csrf="origin"), RouteRow(path="/", spa=words.spa)]
    elif words.app:
        rows.append(RouteRow(path="/", to=words.app, csrf="origin", websocket=True))
    elif words.spa:
        rows.append(RouteRow(path="/", spa=words.spa))
    open_paths = [path for path in words.public if path != "/"]
    rows = [RouteRow(path=path, to=words.app or words.spa, public=True, csrf="origin") for path in open_paths] + rows
    if "/" in words.public and words.app and not words.spa:
        rows = [replace(row, public=True) if row.path == "/" else row for row in rows]
    return Config(route=tuple(rows), files=FilesRow(enabled=False))


def demo(*, port: int, https: bool, mode: str, places: dict[str, str]) -> Config:
    """The packaged file, with this start's port and places put in."""
    bare = Config(gateway=Gateway(port=port, tls=Tls(mode="local" if https else "off")))
    words = {
        "port": str(port),
        "tls": "local" if https else "off",
        "mode": mode,
        "print": local(bare, "print"),
        **places,
    }
    text = Template(files("bartizan").joinpath(DEMO).read_text(encoding="utf-8")).substitute(words)
    return parse(text, DEMO)


def unknown_path(words: Fronted) -> Fault | None:
    """`--spa` names a URL or a directory that is there."""
    if words.spa and "://" not in words.spa and not Path(words.spa).is_dir():
        return Fault("--spa", f"{words.spa} is neither a URL nor a directory.")
    return None
