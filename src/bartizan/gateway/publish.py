"""Files that Envoy watches: whole or not at all (flows §7), readable by nobody but us and Envoy."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from bartizan.gateway.compiler.envoy_types import Json

_PRIVATE_FILE, _PRIVATE_DIRECTORY = 0o600, 0o700


def write(directory: Path, name: str, content: Json, owner: tuple[int, int] | None = None) -> None:
    """Written beside and moved into place: the move is what Envoy's watch reports."""
    target, fresh = directory / name, directory / f".{name}.{os.getpid()}"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, _PRIVATE_FILE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if owner is not None:
                os.fchown(file.fileno(), *owner)
            file.write(msgspec.json.encode(content))
        fresh.replace(target)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def make_directory(directory: Path, owner: tuple[int, int] | None = None) -> None:
    directory.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    if owner is not None:
        os.chown(directory, *owner)
