"""X10, the database's disk is full: what cannot be audited is not issued (I7), nothing fails open (I3), what only
reads goes on, and it clears itself when there is room (I9). Needs root, who alone may mount a small disk.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults import forms, steps
from tests.faults.stores import held
from tests.faults.stores.held import Mutant
from tests.fixtures.nodes import Node, Site, new_site
from tests.fixtures.wire import Answer

pytestmark = [pytest.mark.faults, forms.long_only]

DISK = 600 * 1024 * 1024  # root's engines are copied there too
TRIES = 600


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    base = Path(tempfile.mkdtemp(prefix="bzd-"))
    try:
        with held.small_disk(base, DISK):
            made = new_site(base)
            try:
                yield made
            finally:
                (base / "filler").unlink(missing_ok=True)
                made.close()
    finally:
        shutil.rmtree(base, ignore_errors=True)


def fill(base: Path) -> None:
    with (base / "filler").open("wb", buffering=0) as out:
        size = 1 << 24
        while size >= 4096:
            try:
                out.write(b"\0" * size)
            except OSError:
                size //= 4


def check_full(site: Site, node: Node) -> None:
    people = steps.people(site, 20)
    first = steps.redeem(node, steps.code_in(steps.authorize(node, people[0])))
    access = str(first.json()["access_token"])
    fill(site.base)
    try:
        issued, refused = tokens_until_refused(node, people)
        assert refused.status == 503, f"a full disk is no defect of ours: {refused}"
        assert int(refused.headers["retry-after"]) > 0
        # I7: whatever was issued before the last page was full has its row.
        held.i7_audited(site, [first, *issued])
        # What only reads goes on.
        assert node.ask("GET", "/jwks").status == 200
        assert steps.introspect(node, access).json()["active"] is True
        assert steps.userinfo(node, access).status == 200
    finally:
        (site.base / "filler").unlink()
    held.i9_recovers(lambda: steps.authorize(node, people[0]).status == 303)
    held.i7_audited(site, [steps.redeem(node, steps.code_in(steps.authorize(node, people[0])))])


def tokens_until_refused(node: Node, people: list[steps.Person]) -> tuple[list[Answer], Answer]:
    issued: list[Answer] = []
    for number in range(TRIES):
        code = steps.authorize(node, people[number % len(people)])
        if code.status != 303:
            return issued, code
        token = steps.redeem(node, steps.code_in(code))
        if token.status != 200:
            return issued, token
        issued.append(token)
    raise AssertionError("the disk did not become full")


def test_without_room_for_the_audit_there_is_no_token(site: Site) -> None:
    node = site.node("auth").start()
    try:
        check_full(site, node)
    finally:
        node.kill()


def test_a_full_disk_taken_for_a_defect_fails_the_check(site: Site) -> None:
    change: Mutant = held.mutant(
        "bartizan.database.connection",
        "    asyncpg.InsufficientResourcesError,  # disk full, out of memory, too many connections\n",
        "",
    )
    node = site.node("auth").start(mutant=change)
    try:
        with pytest.raises(AssertionError, match="no defect"):
            check_full(site, node)
    finally:
        node.kill()
