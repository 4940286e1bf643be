"""`bartizan doctor` on the event log (design §6): do the seals hold, under keys of ours?

A key that leaked may have signed anything, so what it sealed proves nothing by itself; the next seal by another key
covers it, as each digest hangs on the one before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from bartizan.auth import keys as signing
from bartizan.database.store import connect
from bartizan.model.keys import StoredKey
from bartizan.monitoring import chain
from bartizan.monitoring.jobs import SEAL_TYP, claims
from bartizan.protocol import jose
from bartizan.stack import compile as compiled
from bartizan.stack import effective
from bartizan.stack.home import Home


def look(home: Home) -> Iterator[tuple[str, str]]:
    """Of a copy that runs."""
    looked, leaked = asyncio.run(_look(home))
    if looked.broken is not None:
        what = f"Seal {looked.broken.number} of the event log does not hold: {looked.broken.reason}."
        yield "bad", f"{what} Somebody wrote to the database; compare it with a backup."
    else:
        yield "good", f"The event log is as it was sealed; {looked.seals} seals hold."
    if leaked:
        yield "note", f"{leaked} of these seals were signed by a key that was withdrawn: alone they prove nothing."


async def _look(home: Home) -> tuple[chain.Looked, int]:
    at = effective.read(home.path("effective.json"))
    store = await connect(compiled.database(at), effective.ring(at))
    try:
        async with store.reading() as records:
            known, trusted = await records.keys.known(), await records.keys.trusted()
        checked = _Signatures(known, trusted)
        since = datetime.now(UTC) - timedelta(days=store.settings.retention_days)
        return await chain.look(store, checked, since), checked.leaked
    finally:
        await store.close()


class _Signatures:
    """Does this sign that digest? Counts those of keys that are not to be trusted any more."""

    def __init__(self, known: list[StoredKey], trusted: list[StoredKey]) -> None:
        self._keys = jose.key_set(signing.public_set(known))
        self._trusted = {key.kid for key in trusted}
        self.leaked = 0

    def __call__(self, digest: bytes, signature: str) -> bool:
        try:
            said = jose.signed(signature, self._keys, algorithms=tuple(jose.ALGORITHMS), typ=SEAL_TYP)
        except jose.InvalidToken:
            return False
        self.leaked += jose.kid_of(signature) not in self._trusted
        return said == claims(digest)
