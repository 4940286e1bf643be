"""Flows §12: the data directory and the socket directory: who owns them, who holds them, what an earlier run left.

A run writes down its pids with their start times. The lock alone says whether a run is alive: pids are reused.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from bartizan.database.place import SYSTEM

FORMAT = 1  # of the data directory; raised when an older release could no longer read it
_LONGEST = "/status-monitoring.sock.12345"  # below the socket directory; a socket path holds 107 bytes


class Trouble(Exception):  # noqa: N818 - a sentence for the operator: what happened, and the one thing to do
    """`up` cannot go on."""


class Mark(Struct, frozen=True):
    """A process that we started. `started` is in the kernel's ticks since boot: with the pid it is unique."""

    name: str
    pid: int
    started: int


class Run(Struct, frozen=True, kw_only=True):
    """What the run that holds the data directory says of itself."""

    supervisor: Mark
    boot: str
    sockets: str
    app: str  # its first URL
    children: tuple[Mark, ...] = ()


class Home:
    """The data directory of one copy of the stack."""

    def __init__(self, data: Path) -> None:
        self.data = data.absolute()
        self._lock: int | None = None

    def path(self, *parts: str) -> Path:
        return self.data.joinpath(*parts)

    def open(self) -> None:
        """Makes the directory, or checks that it is ours and of a format that we know. Raises Trouble."""
        try:
            self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as wrong:
            raise Trouble(
                f"{self.data} cannot be made: {wrong.strerror}. Choose another directory with --data."
            ) from None
        self.check_owner()
        stamp = self.path("format")
        if stamp.exists():
            made = stamp.read_text().strip()
            if not made.isdigit() or int(made) > FORMAT:
                raise Trouble(
                    f"{self.data} was made by a newer Bartizan (format {made}, this one knows {FORMAT})."
                    " Install that release, or choose another directory with --data."
                )
        elif not self.path("lock").exists() and not self._holds_a_ring_at_most():
            raise Trouble(f"{self.data} holds files that are not Bartizan's. Choose another directory with --data.")
        self.data.chmod(0o700)
        with disk_trouble(self.data):
            stamp.write_text(f"{FORMAT}\n")
            for name in ("keys", "logs"):
                self.path(name).mkdir(mode=0o700, exist_ok=True)

    def check_owner(self) -> None:
        """Raises Trouble in a directory that is somebody else's: what lies there may lead anywhere."""
        owner = self.data.stat().st_uid
        if owner != os.geteuid():
            raise Trouble(
                f"{self.data} belongs to {user_name(owner)}, and you are {user_name(os.geteuid())}."
                " Start Bartizan as that user, or choose another directory with --data."
            )

    def _holds_a_ring_at_most(self) -> bool:
        """Nothing, or what a second node is given before its first start: the first one's `keys/ring`."""
        here = {path.name for path in self.data.iterdir()}
        keys = self.path("keys")
        return not here or (here == {"keys"} and keys.is_dir() and {path.name for path in keys.iterdir()} <= {"ring"})

    def exists(self) -> bool:
        return self.path("format").exists()

    def lock(self) -> None:
        """Holds it for the life of this process. Raises Trouble when another run does."""
        try:
            handle = os.open(self.path("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as wrong:  # ELOOP: a link, which is none of ours
            raise Trouble(
                f"{self.path('lock')} cannot be opened: {wrong.strerror}. Look at who put it there."
            ) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            run = self.run()
            who = f" (process {run.supervisor.pid}, {run.app})" if run else ""
            raise Trouble(
                f"Bartizan already runs in {self.data}{who}. Stop it there with Ctrl-C,"
                " or start a second copy with --data ANOTHER-DIRECTORY."
            ) from None
        self._lock = handle

    def unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def held(self) -> bool:
        """Does a living run hold it?"""
        try:
            handle = os.open(self.path("lock"), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(handle)
        return False

    def run(self) -> Run | None:
        try:
            return msgspec.json.decode(self.path("run.json").read_bytes(), type=Run)
        except (OSError, msgspec.DecodeError):
            return None

    def write_run(self, run: Run | None) -> None:
        if run is None:
            self.path("run.json").unlink(missing_ok=True)
        else:
            write(self.path("run.json"), msgspec.json.encode(run))

    def sockets(self) -> Path:
        """Short, ours, never in the data directory. Of a living run: where that run put it."""
        run = self.run()
        if run is not None and run.boot == boot_id() and self.held():
            return Path(run.sockets)
        digest = hashlib.sha256(os.fsencode(self.data.resolve())).hexdigest()[:8]
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        if runtime and _is_mine(Path(runtime)) and _fits(path := Path(runtime, f"bz-{digest}")):
            return path
        name = f"bz-{os.geteuid()}-{digest}"
        path = Path(tempfile.gettempdir(), name)
        return path if _fits(path) else Path("/tmp", name)  # noqa: S108 - 0700 and its owner is checked


def make_sockets(path: Path) -> None:
    """0700, and nobody else's: in a directory that all may write to, another could have made it first."""
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    owners = {os.geteuid()}
    if os.geteuid() == 0 and (kept := SYSTEM / "uid").exists():
        owners.add(int(kept.read_text()))
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in owners:
        raise Trouble(f"{path} belongs to {user_name(found.st_uid)}. Delete it, or set XDG_RUNTIME_DIR.")
    path.chmod(0o700)


def forget_sockets(path: Path) -> None:
    """Of a run that was killed. A name left by a worker that this run has not would be waited for (monitoring)."""
    for left in path.glob("*.sock"):
        left.unlink()


def write(path: Path, data: bytes) -> None:
    """0600 from the first byte; whole, or not at all."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with disk_trouble(path.parent):
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.write(data)
        fresh.replace(path)


@contextlib.contextmanager
def disk_trouble(where: Path) -> Iterator[None]:
    """A full or read-only disk is one sentence."""
    try:
        yield
    except OSError as wrong:
        if wrong.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Trouble(f"The disk that holds {where} is full. Free some space and start again.") from None
        if wrong.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise Trouble(
                f"{where} cannot be written: {wrong.strerror}. Choose another directory with --data."
            ) from None
        raise


def boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def started(pid: int) -> int | None:
    """When the process began, in ticks since boot; None when there is none, or only a dead one waits to be reaped."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if words[0] in "ZX" else int(words[19])


def alive(mark: Mark) -> bool:
    return started(mark.pid) == mark.started


def user_name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _is_mine(path: Path) -> bool:
    try:
        return path.stat().st_uid == os.geteuid()
    except OSError:
        return False


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) + len(_LONGEST) <= 107
