"""The last look: what was acknowledged is in the rows, what was issued was noted, and no secret lies anywhere."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

from tests.browser.at_rest import AtRest
from tests.soak.book import Book
from tests.soak.clients import Chains
from tests.soak.house import House
from tests.soak.watch import Verdict, Watch

WAL = 1.3 * 256 * 2**20  # `max_wal_size` is 256 MB, and a checkpoint takes its time
GROWN, SPARE = 1.3, 2 * 2**20  # a table by its rows, and the dead ones that autovacuum has not met yet
LOG_BYTES = 1000  # for each answer, over the run
TEMPORARY = 3
_WORD = re.compile(r"[A-Za-z0-9_.~-]{16,}")


async def rows(house: House, book: Book, chains: Chains, planted: set[UUID]) -> None:
    """I1 and I7. `planted`: families that were written past the servers, and have no audit row for that."""
    connection = await house.connect()
    try:
        held = {row["id"]: row["generation"] for row in await connection.fetch("SELECT id, generation FROM families")}
        silent = {row["id"] for row in await connection.fetch(_FAMILIES)} - planted
        codes = await connection.fetchval(_CODES)
        twice = await connection.fetchval(_TWICE)
    finally:
        await connection.close()
    for family, generation in chains.acknowledged().items():
        book.look(
            "I1", held.get(family, 0) >= generation, f"{family}: {generation} was given, {held.get(family)} is there"
        )
    book.look("I7", not silent, f"{len(silent)} families without `token.issued`: {sorted(map(str, silent))[:3]}")
    book.look("I7", codes == 0, f"{codes} codes without `code.issued`")
    book.look("I2", twice == 0, f"{twice} families have two `token.issued`")


_FAMILIES = """
    SELECT id FROM families WHERE NOT EXISTS (SELECT FROM events WHERE code = 'token.issued' AND gid = families.id)
"""
# Planted ones are of the histories, whose sessions no other code has.
_CODES = """
    SELECT coalesce(sum(greatest(held.codes - coalesce(noted.codes, 0), 0)), 0)::int FROM
    (SELECT session_id, count(*) AS codes FROM codes WHERE redirect_uri IS NOT NULL GROUP BY 1) AS held
    LEFT JOIN (SELECT session_id, count(*) AS codes FROM events WHERE code = 'code.issued' GROUP BY 1) AS noted
    USING (session_id)
    WHERE session_id IN (SELECT session_id FROM events WHERE code = 'code.issued')
"""
_TWICE = """
    SELECT count(*) FROM (SELECT gid FROM events WHERE code = 'token.issued' GROUP BY gid HAVING count(*) > 1) AS twice
"""


def secrets(house: House, book: Book) -> int:
    """I8. Gives the characters read. Mails hold their links, which is what they are for; keys lie where keys lie."""
    places = AtRest(house.data).everything()
    places |= {str(path): path.read_text(errors="replace") for path in house.logs if path.exists()}
    places |= {str(path): path.read_text(errors="replace") for path in _beside(Path(house.at.sockets))}
    read = 0
    for place, text in places.items():
        if place.startswith(("mail/", "keys/")):
            continue
        read += len(text)
        found = sorted(_words(text) & book.secrets)
        book.look("I8", not found, f"{place} holds {len(found)} secrets: {[one[:9] + '…' for one in found[:3]]}")
    return read


def _beside(directory: Path) -> Iterable[Path]:
    return (path for path in directory.rglob("*") if path.is_file())


def _words(text: str) -> set[str]:
    """Whole words, and of dotted ones the parts: the run keeps of a JWT its signature."""
    words = set(_WORD.findall(text))
    return words | {part for word in words if "." in word for part in word.split(".")}


def flat(book: Book, watch: Watch, *, long_enough: bool) -> list[Verdict]:
    verdicts = watch.verdicts()
    for one in verdicts:
        grown = f"{one.what}: {one.first:.0f} → {one.last:.0f}, {one.slope:+.0f} a minute for {one.minutes:.1f} min"
        book.look("flat", not one.grows, grown)
    for name, seen in watch.tables.items():
        if len(seen) >= 4 and long_enough:
            middle, last = seen[len(seen) // 2], seen[-1]
            most = GROWN * middle.size * max(1.0, last.rows / max(1, middle.rows)) + SPARE
            told = f"{name}: {middle.size} B for {middle.rows} rows → {last.size} B for {last.rows}"
            book.look("flat", last.size <= most, told)
    for _, size in watch.wal:
        book.look("flat", size <= WAL, f"{size} B of WAL")
    if len(watch.logs) > 1:
        begun, ended = watch.logs[0], watch.logs[-1]
        each = (ended[1] - begun[1]) / max(1, ended[2] - begun[2])
        book.look("flat", each <= LOG_BYTES, f"{each:.0f} B of logs for each answer")
    left = watch.temporary_files()
    book.look("flat", len(left) <= TEMPORARY, f"{len(left)} temporary files: {left[:3]}")
    return verdicts


def clean(house: House, book: Book, pids: set[int]) -> None:
    """After the stop."""
    left = [pid for pid in pids if Path(f"/proc/{pid}").exists() and _state(pid) != "Z"]
    book.look("clean", not left, f"processes are left: {left}")
    sockets = Path(house.at.sockets)
    book.look("clean", not sockets.exists(), f"{sockets} is left")


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def last_look(house: House, book: Book, chains: Chains, planted: set[UUID]) -> None:
    asyncio.run(rows(house, book, chains, planted))
