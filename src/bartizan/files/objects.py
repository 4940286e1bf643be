"""Where the bytes lie: an object store, and a place for half uploads. Names are ids of ours, never a user's text."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from functools import cached_property
from pathlib import Path
from uuid import UUID

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore

from bartizan.files.links import Variant
from bartizan.protocol.refusal import Unavailable

_PIECE = 256 * 1024  # bytes read from the store at a time


def key(file_id: UUID, variant: Variant) -> str:
    return f"{variant}/{file_id.hex[-2:]}/{file_id.hex}"


@contextlib.contextmanager
def told_when_away() -> Iterator[None]:
    """A full or broken disk is 503. obstore's errors are no OSError; what is not there, it says as Python does."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, BaseError) as wrong:
        raise Unavailable("the file store", 30) from wrong


class Objects:
    """The local store writes beside and renames, so no reader ever sees half an object."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def _store(self) -> LocalStore:
        """Made at the first use: whoever only reads the route table makes no directory."""
        place = self._folder / "objects"  # nobody else looks in, also where the operator's own folder is open
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(PermissionError):  # another user's: its mode is theirs to choose
            place.chmod(0o700)
        return LocalStore(prefix=place)

    @cached_property
    def half(self) -> Path:
        place = self._folder / "half"
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        return place

    async def put(self, file_id: UUID, variant: Variant, content: Path | bytes) -> None:
        """Raises Unavailable; then nothing is there under that name."""
        with told_when_away():
            await obstore.put_async(self._store, key(file_id, variant), content)

    async def read(self, file_id: UUID, variant: Variant) -> bytes:
        """Raises FileNotFoundError."""
        with told_when_away():
            got = await obstore.get_async(self._store, key(file_id, variant))
            return bytes(await got.bytes_async())

    async def size(self, file_id: UUID, variant: Variant) -> int:
        """Raises FileNotFoundError."""
        with told_when_away():
            return int((await obstore.head_async(self._store, key(file_id, variant)))["size"])

    async def stream(self, file_id: UUID, variant: Variant, first: int, last: int) -> AsyncIterator[bytes]:
        """The bytes from `first` to `last`, both included."""
        with told_when_away():
            got = await obstore.get_async(self._store, key(file_id, variant), options={"range": (first, last + 1)})
        async for piece in got.stream(min_chunk_size=_PIECE):
            yield bytes(piece)

    def remove(self, file_id: UUID) -> None:
        """All variants; those that are not there are no fault. A call of microseconds, so it may run in `finally`."""
        for variant in Variant:
            with contextlib.suppress(FileNotFoundError):
                obstore.delete(self._store, key(file_id, variant))

    async def ids(self, *, older_than: float) -> AsyncIterator[UUID]:
        """Files with an object that has lain there for some seconds, each once or twice."""
        async for batch in obstore.list(self._store):
            for meta in batch:
                if time.time() - meta["last_modified"].timestamp() > older_than:
                    with contextlib.suppress(ValueError):
                        yield UUID(hex=str(meta["path"]).rpartition("/")[2])

    async def sweep_half(self, *, older_than: float) -> int:
        """What a killed process left: half uploads, and objects half written, which obstore itself never lists."""
        return await asyncio.to_thread(self._sweep, time.time() - older_than)

    def _sweep(self, before: float) -> int:
        staged = self._folder.glob("objects/*/*/*#*")
        old = [path for path in (*self.half.iterdir(), *staged) if path.stat().st_mtime < before]
        for path in old:
            path.unlink(missing_ok=True)
        return len(old)
