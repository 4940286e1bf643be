"""What a run works with: the configuration, and where everything lies. `up` hands it to its children."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import msgspec
from msgspec import Struct

from bartizan.protocol.secrets import KeyRing, new_ring_line, parse_ring
from bartizan.stack.config import BrokenConfig, Fault, leaf
from bartizan.stack.home import Home, write
from bartizan.stack.schema import Config, Reference, plain

_ID = "0123456789abcdefghijklmnopqrstuvwxyz"


class Effective(Struct, frozen=True, kw_only=True):
    config: Config
    data: str  # the data directory
    sockets: str
    engines: str  # the engines' own data: beside the data directory, or root's place for them
    uid: int | None = None  # whom the engines run as; None: the caller
    gid: int | None = None
    demo: bool = False
    base: str = "."  # what relative paths of the file begin at

    def path(self, *parts: str) -> Path:
        return Path(self.data, *parts)

    def socket(self, name: str) -> Path:
        return Path(self.sockets, name)

    def from_file(self, written: str) -> Path:
        """A path as it stands in the file."""
        return Path(self.base, written).expanduser()


def save(effective: Effective) -> Path:
    path = effective.path("effective.json")
    write(path, encoded(effective))
    return path


def encoded(effective: Effective) -> bytes:
    return msgspec.json.encode(effective, enc_hook=plain)


def read(path: Path) -> Effective:
    return msgspec.json.decode(path.read_bytes(), type=Effective, dec_hook=leaf)


def secret(effective: Effective, reference: Reference, key: str) -> str:
    """Follows a reference. Raises BrokenConfig that names the key."""
    if reference.env is not None:
        value = os.environ.get(reference.env)
        if not value:
            raise BrokenConfig((Fault(key, f"the environment has no {reference.env}; set it."),))
        return value.strip()
    try:
        return effective.from_file(reference.file or "").read_text(encoding="utf-8").strip()
    except OSError as wrong:
        raise BrokenConfig((Fault(key, f"{reference.file} cannot be read: {wrong.strerror}."),)) from None


def url(effective: Effective, value: str | Reference, key: str) -> str:
    return value if isinstance(value, str) else secret(effective, value, key)


def ring(effective: Effective) -> KeyRing:
    """The root keys. Without a reference: a file in the data directory, made at the first start."""
    reference = effective.config.keys.ring
    try:
        if reference is not None:
            return parse_ring(secret(effective, reference, "keys.ring"))
        return parse_ring(ring_file(effective.path()).read_text(encoding="utf-8"))
    except ValueError as wrong:
        raise BrokenConfig((Fault("keys.ring", f"{wrong}."),)) from None


def ring_file(data: Path) -> Path:
    """Where the ring of a data directory lies; made when it is not there, once, whoever starts beside us."""
    path = data / "keys" / "ring"
    if not path.exists():
        fresh = path.with_name(f".ring.{secrets.token_hex(4)}")
        name = "".join(secrets.choice(_ID) for _ in range(8))
        write(fresh, new_ring_line(name, secrets.token_bytes(32)).encode())
        try:
            path.hardlink_to(fresh)
        except FileExistsError:
            pass  # another start's, made meanwhile
        except OSError:  # a file system without links; there two first starts at once are the operator's to avoid
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
    return path


def new_ring(effective: Effective) -> str | None:
    """The sentence about one made just now: a second node that makes its own can read nothing of the first one's."""
    path = effective.path("keys", "ring")
    if effective.config.keys.ring is not None or path.exists():
        return None
    made = ring_file(effective.path())
    return (
        f"A new key ring was made: {made}. On other nodes copy it there before their first start,"
        " as none can read what another ring wrote: docs/how-to/production.md."
    )


def home(effective: Effective) -> Home:
    return Home(effective.path())
