"""Flows §12: where engines and their data lie.

A normal user's engines run in place, as that user. Root's never run as root: their binaries are copied to the
system's state directory, data lies beside, and both belong to one free uid. So a checkout in a directory that
only root may enter works, and no mode of a directory that is not ours is ever changed.
"""

from __future__ import annotations

import fcntl
import grp
import hashlib
import importlib.metadata
import os
import pwd
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

SYSTEM = Path("/var/lib/bartizan")

# systemd leaves these to nobody (its dynamic users begin at 61184).
FREE_UIDS = range(61000, 61184)


class EngineTrouble(Exception):  # noqa: N818 - a sentence for the operator: what happened, and the one thing to do
    """An engine cannot be set up or started."""


@contextmanager
def in_one_sentence(what: Path) -> Iterator[None]:
    """A full disk, a directory of somebody else's: the operator gets a sentence, not a traceback."""
    try:
        yield
    except OSError as error:
        where = error.filename or what
        raise EngineTrouble(f"{where} cannot be set up: {error.strerror or error}.") from error


class Wheel(Struct, frozen=True):
    """The files that an engine needs of its wheel, by their path below site-packages, with their digests."""

    root: Path
    files: tuple[tuple[str, str], ...]


class EnginePlace(Struct, frozen=True, kw_only=True):
    """What the supervisor hands to the engines. `uid` is None where they run as the caller."""

    data: Path
    sockets: Path
    roots: dict[str, Path]  # distribution → the directory that stands for its site-packages
    uid: int | None
    gid: int | None


def wheel(distribution: str, needs: tuple[str, ...]) -> Wheel:
    """Finds the files whose path begins with one of `needs`, without importing the wheel's own launcher."""
    try:
        found = importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        raise EngineTrouble(f"The package {distribution} is not installed: install bartizan[engines].") from None
    files = tuple(
        (str(path), path.hash.value if path.hash else "")
        for path in sorted(found.files or ())
        if str(path).startswith(needs)
    )
    if not files:
        raise EngineTrouble(f"The package {distribution} {found.version} holds no engine for this machine.")
    return Wheel(Path(str(found.locate_file(""))).resolve(), files)


def place(
    data_dir: Path, sockets: Path, engines: Mapping[str, tuple[str, ...]], *, system: Path = SYSTEM
) -> EnginePlace:
    """Decides, and makes, the place of `engines` (distribution → needed paths). Idempotent.

    `sockets` is made 0700 and, when root asks, belongs to the engines' uid: root enters it anyway.
    """
    with in_one_sentence(data_dir):
        return _place(data_dir, sockets, engines, system)


def _place(data_dir: Path, sockets: Path, engines: Mapping[str, tuple[str, ...]], system: Path) -> EnginePlace:
    if os.geteuid() != 0:
        wheels = {name: wheel(name, needs) for name, needs in engines.items()}
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)  # one that is there keeps its mode
        _own_directory(sockets, 0o700)
        return EnginePlace(
            data=data_dir, sockets=sockets, roots={n: w.root for n, w in wheels.items()}, uid=None, gid=None
        )
    _own_directory(system, 0o755)
    with _locked(system / ".lock"):
        uid = _engine_uid(system)
        roots = {name: _copied(wheel(name, needs), system / "engines") for name, needs in engines.items()}
        data = _beside(data_dir, system)
    _own_directory(sockets, 0o700, uid)
    return EnginePlace(data=data, sockets=sockets, roots=roots, uid=uid, gid=uid)


def forget(data_dir: Path, *, system: Path = SYSTEM) -> None:
    """Deletes what root's engines keep for this data directory (`make clean`)."""
    mark = data_dir / "instance"
    if os.geteuid() == 0 and mark.exists():
        shutil.rmtree(system / "data" / mark.read_text().strip(), ignore_errors=True)


def _own_directory(path: Path, mode: int, uid: int | None = None) -> None:
    """Makes it, or sets mode and owner of one that we made: never of its parents."""
    path.mkdir(parents=True, exist_ok=True, mode=mode)
    path.chmod(mode)
    if uid is not None:
        os.chown(path, uid, uid)


def _beside(data_dir: Path, system: Path) -> Path:
    """The data of this data directory, found by a mark inside it: it may be moved, but not copied."""
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    mark = data_dir / "instance"
    if not mark.exists():
        fresh = mark.with_suffix(".new")
        fresh.write_text(secrets.token_hex(8))
        fresh.replace(mark)
    home = system / "data" / mark.read_text().strip()
    origin = home / "origin"
    here = data_dir.resolve()
    if origin.exists():
        other = Path(origin.read_text())
        theirs = other / "instance"
        if other != here and theirs.exists() and theirs.read_text() == mark.read_text():
            raise EngineTrouble(
                f"{here} is a copy of {other} and would use its database: delete {mark} to begin with an empty one."
            )
    (system / "data").mkdir(exist_ok=True)
    _own_directory(system / "data", 0o711)
    _own_directory(home, 0o711)
    origin.write_text(str(here))
    return home


def _engine_uid(system: Path) -> int:
    """The one free uid of the engines, chosen once and kept."""
    kept = system / "uid"
    if kept.exists():
        return int(kept.read_text())
    taken = {entry.pw_uid for entry in pwd.getpwall()} | {entry.gr_gid for entry in grp.getgrall()}
    taken |= set(_uids_at_work())
    for uid in FREE_UIDS:
        if uid not in taken:
            fresh = kept.with_suffix(".new")
            fresh.write_text(str(uid))
            fresh.replace(kept)
            return uid
    raise EngineTrouble(f"No uid from {FREE_UIDS.start} on is free. Write one that is into {kept}.")


def _uids_at_work() -> Iterator[int]:
    """Linux: of all processes, so that a uid which some container lent out is not taken."""
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError):  # it ended meanwhile
            yield entry.stat().st_uid


def _copied(source: Wheel, engines: Path) -> Path:
    """Copies an engine to `engines/<hash of its content>`: whole, or not at all."""
    name = hashlib.sha256(repr(source.files).encode()).hexdigest()[:16]
    target = engines / name
    if target.exists():
        return target
    _own_directory(engines, 0o755)
    fresh = engines / f"{name}.new-{os.getpid()}"
    for path, _ in source.files:
        there = fresh / path
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source.root / path, there)
    for entry in (fresh, *fresh.rglob("*")):
        entry.chmod(0o755 if entry.is_dir() or entry.stat().st_mode & 0o100 else 0o644)
    fresh.rename(target)
    for other in engines.glob("*.new-*"):
        shutil.rmtree(other, ignore_errors=True)
    return target


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Two `up` at once choose one uid and copy once."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def own(path: Path, uid: int, gid: int) -> None:
    """Gives a tree to a user: its top last, so that the top's owner tells whether all is done."""
    for entry in path.rglob("*"):
        os.chown(entry, uid, gid, follow_symlinks=False)
    os.chown(path, uid, gid)
