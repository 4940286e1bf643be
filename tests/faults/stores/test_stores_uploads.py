"""X20, X10 (uploads): killed at each step, no room, a rename that fails, the database away in the middle.

No partial file is served (I3), what was acknowledged is whole (I1), the quota is the sum of the rows, the listing is
the database, and a sweep leaves nothing that nobody owns.
"""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from tests.faults import steps
from tests.faults.crash import uploads
from tests.faults.steps import Person
from tests.faults.stores import held
from tests.faults.stores.held import Mutant
from tests.fixtures.nodes import APP, HOOK, Node, Site
from tests.fixtures.wire import Answer

from bartizan.database.store import PostgresStore
from bartizan.files.jobs import remove_orphans
from bartizan.files.objects import Objects

pytestmark = pytest.mark.faults

CONTENT = b"".join(b"line %d of a text that somebody keeps\n" % number for number in range(16_000))  # 600 KB
# Where a process is killed, and at which time that it passes there.
STEPS = ("upload.chunk@1", "upload.chunk@2", "upload.received", "upload.put", "upload.reserved", "upload.kept")


class Drawer:
    """One person's files, on a node of the test's own."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.folder = site.data / "files"
        self.node: Node = site.node("auth", "files", more=uploads.more(site)).start()
        self.person: Person = steps.people(site)[0]
        given = {"session_id": self.person.session.id, "scopes": ("openid", "files.read", "files.write")}
        _, token = steps.family(site, self.person, "drawer", **given)
        self.token = str(steps.refreshed(self.node, token, "drawer").json()["access_token"])

    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}", "host": APP.partition("://")[2]}

    def upload(self, content: bytes = CONTENT) -> Answer:
        headers = {**self.headers(), "content-type": "text/plain", "x-file-name": "kept.txt"}
        return self.node.ask("POST", "/files", headers=headers, body=content, at="files")

    def restart(self, **how: object) -> None:
        if self.node.living:
            self.node.kill()
        self.node.start(**how)  # type: ignore[arg-type]  # as Node.start says

    def listed(self) -> list[dict[str, object]]:
        got = self.node.ask("GET", "/files", headers=self.headers(), at="files")
        assert got.status == 200, got
        found = got.json()
        files = found["files"]
        assert isinstance(files, list)
        assert found["used"] == sum(file["size"] for file in files), "the quota is the sum of the files"
        return files

    def served(self, file: dict[str, object]) -> Answer:
        url = urlsplit(str(file["url"]))
        return self.node.ask("GET", url.path, headers={"host": url.netloc}, at="files")

    def whole(self, kept: int) -> None:
        """I1, I3: so many files as were acknowledged, all in the database, each served to its last byte."""
        files = self.listed()
        rows = steps.rows(self.site, "SELECT id, sha256 FROM files WHERE owner = $1", self.person.user.id)
        assert {UUID(str(file["id"])): None for file in files} == {row["id"]: None for row in rows}
        assert len(files) == kept, "listing = what was acknowledged"
        digests = {str(row["id"]): row["sha256"] for row in rows}
        for file in files:
            got = self.served(file)
            assert got.status == 200
            assert hashlib.sha256(got.body).digest() == digests[str(file["id"])], "a partial file is served"

    def swept(self) -> None:
        """As after an hour: what nobody owns is gone, and nothing else."""
        hour_ago = time.time() - 7200
        for path in self.folder.rglob("*"):
            if path.is_file():
                os.utime(path, (hour_ago, hour_ago))

        async def sweep(store: PostgresStore) -> int:
            return await remove_orphans(store, Objects(self.folder))

        steps.within(self.site, sweep)
        kept = {row["id"].hex for row in steps.rows(self.site, "SELECT id FROM files")}
        assert {path.name for path in self.folder.rglob("*") if path.is_file()} == kept, (
            "orphans and half files are gone"
        )

    def half(self) -> list[Path]:
        return list((self.folder / "half").iterdir())


@pytest.fixture(scope="module")
def drawer(shared_nodes_site: Site) -> Iterator[Drawer]:
    made = Drawer(shared_nodes_site)
    try:
        assert made.upload().status == 201
        yield made
    finally:
        made.node.kill()


def test_killed_at_each_step_nothing_is_half(drawer: Drawer) -> None:
    kept, plan = len(drawer.listed()), drawer.site.base / "plan"
    armed = {"PYTHONPATH": str(HOOK), "BARTIZAN_FAILPOINT_FILE": str(plan)}
    drawer.restart(environment=armed)
    for step in STEPS:
        mark, _, times = step.partition("@")
        plan.write_text(f"{mark}=kill@{times or 1}")
        assert drawer.upload().status == 0, step
        assert drawer.node.wait() == -9, step
        plan.unlink()
        drawer.restart(environment=armed)
        kept += step == "upload.kept"  # committed, and only its answer was lost
        drawer.whole(kept)
    drawer.swept()
    drawer.whole(kept)
    assert drawer.upload().status == 201


def test_an_object_half_written_by_a_killed_process_is_swept(drawer: Drawer) -> None:
    """obstore writes beside, as `name#1`, and never lists that: found by looking at the directory."""
    kept = len(drawer.listed())
    place = drawer.folder / "objects" / "original" / "ab"
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{'0' * 30}ab#1").write_bytes(CONTENT[:1000])
    drawer.swept()
    drawer.whole(kept)


def check_rename(drawer: Drawer) -> None:
    """A file stands where a directory must be: the store cannot put, for any user."""
    kept = len(drawer.listed())
    place, aside = drawer.folder / "objects" / "original", drawer.folder / "objects" / "aside"
    place.rename(aside)
    place.write_text("in the way")
    try:
        said = drawer.upload()
        assert said.status == 503, f"a broken store is no defect of ours: {said}"
        assert int(said.headers["retry-after"]) > 0
        assert drawer.half() == []
        assert len(drawer.listed()) == kept
    finally:
        place.unlink()
        aside.rename(place)
    drawer.whole(kept)
    assert drawer.upload().status == 201, "I9: it clears itself"
    drawer.whole(kept + 1)


def test_a_store_that_cannot_rename_is_503(drawer: Drawer) -> None:
    check_rename(drawer)


def test_without_room_nothing_is_kept(drawer: Drawer) -> None:
    """EFBIG by a limit on the size of files, for any user; ENOSPC by a small disk of its own, for root."""
    kept = len(drawer.listed())
    drawer.restart(prefix=("prlimit", f"--fsize={len(CONTENT) // 2}"))
    said = drawer.upload()
    assert said.status == 503, said
    assert int(said.headers["retry-after"]) > 0
    assert drawer.half() == []
    drawer.whole(kept)
    assert drawer.upload(CONTENT[:1000]).status == 201, "what has room is taken"
    drawer.restart()
    assert drawer.upload().status == 201
    drawer.whole(kept + 2)


def test_a_full_disk_refuses_uploads_and_goes_on_serving(drawer: Drawer) -> None:
    kept = len(drawer.listed())
    with held.small_disk(drawer.folder / "half", len(CONTENT) // 2):
        said = drawer.upload()
        assert said.status == 503, said
        assert drawer.half() == []
        drawer.whole(kept)
    assert drawer.upload().status == 201, "I9: it clears itself"
    drawer.whole(kept + 1)


def test_the_database_goes_in_the_middle(nodes_site: Site) -> None:
    drawer = Drawer(nodes_site)
    assert drawer.upload().status == 201
    headers = {**drawer.headers(), "content-type": "text/plain", "x-file-name": "late.txt"}
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join(["POST /files HTTP/1.1", *lines, f"content-length: {len(CONTENT)}", "connection: close", "", ""])
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(20)
        line.connect(str(drawer.node.sockets / "files.sock"))
        line.sendall(head.encode() + CONTENT[: len(CONTENT) // 2])
        held.i9_recovers(lambda: drawer.half() != [])  # it is under way
        nodes_site.postgres.kill()
        line.sendall(CONTENT[len(CONTENT) // 2 :])
        answer = b""
        while part := line.recv(65536):
            answer += part
    assert answer.split()[1] == b"503", answer[:300]
    assert b"retry-after" in answer.lower()
    assert drawer.half() == []
    nodes_site.postgres.start()
    held.i9_recovers(lambda: drawer.node.ask("GET", "/files", headers=drawer.headers(), at="files").status == 200)
    drawer.whole(1)
    drawer.swept()
    drawer.whole(1)


MUTANTS: dict[str, tuple[Mutant, str]] = {
    "an error of the object store is let through": (
        held.mutant(
            "bartizan.files.objects", "except (OSError, BaseError) as wrong", "except ZeroDivisionError as wrong"
        ),
        "no defect",
    ),
    "the quota is not given in the row's own transaction": (
        held.mutant(
            "bartizan.database.files",
            "DO UPDATE SET used = file_usage.used + excluded.used",
            "DO UPDATE SET used = file_usage.used",
        ),
        "quota is the sum",
    ),
    "a half upload is left": (
        held.mutant("bartizan.files.intake", "        _gone(path)\n", "        pass\n"),
        r"== \[\]",
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_without_the_protection_the_check_fails(drawer: Drawer, name: str) -> None:
    mutant, why = MUTANTS[name]
    drawer.restart(mutant=mutant)
    try:
        with pytest.raises(AssertionError, match=why):
            check_rename(drawer)
    finally:
        drawer.restart()
        right = "(SELECT coalesce(sum(size), 0) FROM files WHERE files.owner = file_usage.owner)"
        steps.rows(drawer.site, f"UPDATE file_usage SET used = {right}")
        drawer.swept()
