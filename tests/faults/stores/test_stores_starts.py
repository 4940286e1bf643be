"""X7: two supervisors on one data directory; kill -9 in the middle of `initdb`, of each migration, of the first settle.

The second refuses with a sentence and the first notices nothing; the next start repairs or resumes, and nothing that
was acknowledged is lost (I1). `restore` does not exist yet, so nothing is killed in it.
"""

from __future__ import annotations

import asyncio
import http.client
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from asyncpg.exceptions import PostgresError
from tests.faults.forms import LONG, long_only
from tests.faults.stores import held
from tests.faults.stores.held import Mutant
from tests.fixtures.nodes import HOOK
from tests.fixtures.postgres import PostgresServer, new_server
from tests.fixtures.stack import Stack

from bartizan.database import migrate
from bartizan.database.place import forget
from bartizan.stack.home import Home

pytestmark = pytest.mark.faults

STEPS = ("cluster.made", "cluster.named", "migrate.scripted", "settle.seated")
REFUSED = 800  # requests whose lines are more than a pipe holds

_PREPARE = """
import sys
from pathlib import Path
from tests.fixtures.postgres import new_server
new_server(Path(sys.argv[1])).cluster.prepare()
"""
_MIGRATE = """
import asyncio, sys
from alembic import command
from bartizan.database import migrate
if sys.argv[2] == "head":
    print(asyncio.run(migrate.upgrade(sys.argv[1])))
else:
    def run(connection):
        config = migrate._config()
        config.attributes["connection"] = connection
        command.upgrade(config, sys.argv[2])
    asyncio.run(migrate._within(sys.argv[1], run))
"""


@pytest.fixture
def base(site_template: Path) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="bzi-"))
    path.chmod(0o711)
    copies = site_template / "p" / "system" / "engines"
    if copies.exists():  # root's; what is killed here is what comes after them
        (path / "system").mkdir()
        (path / "system" / "engines").symlink_to(copies.resolve())
    yield path
    shutil.rmtree(path, ignore_errors=True)


def check_cluster(base: Path, marks: tuple[str, ...], mutant: Mutant = ()) -> None:
    for mark in marks:
        held.killed(_PREPARE, str(base), failpoint=f"{mark}=kill", mutant=mutant)
    server = new_server(base)
    try:
        held.program(_PREPARE, str(base), mutant=mutant)
        server.start()
        assert asyncio.run(_one(server.url(), "SELECT 7")) == 7
        left = [path.name for path in server.cluster.data.parent.iterdir() if ".new-" in path.name]
        assert left == [], "nothing of the killed one is left"
    finally:
        server.abandon()


async def _one(url: str, query: str) -> object:
    connection: Any = await asyncpg.connect(url)  # type: ignore[no-untyped-call]  # theirs
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def test_killed_twice_while_the_cluster_is_made(base: Path) -> None:
    check_cluster(base, ("cluster.made", "cluster.named"))


def test_a_cluster_made_in_place_fails_the_check(base: Path) -> None:
    change = held.mutant(
        "bartizan.database.engine",
        'fresh = self.data.with_name(f"{self.data.name}.new-{os.getpid()}")',
        "fresh = self.data",
    )
    with pytest.raises((AssertionError, PostgresError)):
        check_cluster(base, ("cluster.made",), change)


USER = """
INSERT INTO users (id, name, created_at) VALUES ('00000000-0000-7000-8000-000000000001', 'kept', now())
"""


def check_migrations(postgres: PostgresServer, passed: Path, mutant: Mutant = ()) -> None:
    """Killed before and after each script of each migration, on a new database and on one with people in it."""
    url = postgres.new_database()
    held.program(_MIGRATE, url, "head", environment={"BARTIZAN_FAILPOINTS_PASSED": str(passed)})
    names = passed.read_text().split()
    times = [(name, names[: at + 1].count(name)) for at, name in enumerate(names)]
    first = sum(name == "migrate.scripted" for name in names[: _scripts_of_first(postgres, passed)])
    chosen = times if LONG or mutant else [times[0], times[len(times) // 2], times[-1]]
    for name, time_ in chosen:
        url = postgres.new_database()
        held.killed(_MIGRATE, url, "head", failpoint=f"{name}=kill@{time_}", mutant=mutant)
        assert asyncio.run(migrate.current(url)) is None, "the old schema, whole"
        assert asyncio.run(migrate.upgrade(url)) == migrate.newest()
        assert asyncio.run(_one(url, "SELECT epoch FROM meta")) == 1
    url = postgres.new_database()
    held.program(_MIGRATE, url, "0001")
    asyncio.run(_one(url, USER))
    for name, time_ in times[2 * first :] if LONG else times[-1:]:
        held.killed(_MIGRATE, url, "head", failpoint=f"{name}=kill@{time_ - first}", mutant=mutant)
        assert asyncio.run(migrate.current(url)) == "0001", "the old schema, whole"
    assert asyncio.run(migrate.upgrade(url)) == migrate.newest()
    assert asyncio.run(_one(url, "SELECT name FROM users")) == "kept", "I1"


def _scripts_of_first(postgres: PostgresServer, passed: Path) -> int:
    """How many marks lie within the first migration."""
    alone = passed.with_name("first")
    held.program(_MIGRATE, postgres.new_database(), "0001", environment={"BARTIZAN_FAILPOINTS_PASSED": str(alone)})
    return len(alone.read_text().split())


def test_killed_in_and_between_migrations(postgres: PostgresServer, tmp_path: Path) -> None:
    check_migrations(postgres, tmp_path / "passed")


def test_a_migration_without_its_transaction_fails_the_check(postgres: PostgresServer, tmp_path: Path) -> None:
    change = held.mutant(
        "bartizan.database.migrations.script", "driver.execute(sql)", 'driver.execute("COMMIT;" + sql)'
    )
    with pytest.raises(Exception, match=r"old schema|already exists"):
        check_migrations(postgres, tmp_path / "passed", change)


def killed_at(stack: Stack, mark: str, passed: Path, patch: pytest.MonkeyPatch) -> None:
    """`up` dies while a process of its stands there."""
    passed.unlink(missing_ok=True)
    with patch.context() as within:
        within.setenv("PYTHONPATH", str(HOOK))
        within.setenv("BARTIZAN_FAILPOINT", f"{mark}=sleep:60")
        within.setenv("BARTIZAN_FAILPOINTS_PASSED", str(passed))
        stack.launch()
        held.i9_recovers(lambda: passed.exists() and mark in passed.read_text(), 60)
    stack.kill()


def test_killed_at_each_step_of_a_first_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One data directory, killed at one step after the other; then it starts, and is what a new one is."""
    stack, passed = Stack(tmp_path / "data", "--demo"), tmp_path / "passed"
    try:
        for mark in STEPS if LONG else STEPS[1:]:
            killed_at(stack, mark, passed, monkeypatch)
        stack.start()
        assert "Traceback" not in stack.output
        status = stack.status()
        assert status["ready"] is True, status
        people = set(stack.site().people)
        assert people == {"alice@example.com", "bob@example.com", "carol@example.com"}, "as in any demo"
        check_second(stack)
        if LONG:
            check_supervisor_stopped(stack)
    finally:
        stack.send(signal.SIGCONT)
        stack.stop()
        forget(stack.data)


def check_supervisor_stopped(stack: Stack) -> None:
    """X11: it reads all logs; while it is stopped their pipes fill up, and no request waits for that (I10)."""
    stack.send(signal.SIGSTOP)
    line = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=5)
    try:
        for number in range(REFUSED):
            line.request("GET", "/authorize?client_id=nobody", headers={"Host": f"id.localhost:{stack.port}"})
            answer = line.getresponse()
            answer.read()
            assert answer.status in (400, 429), f"request {number}: {answer.status}"
    finally:
        line.close()
        stack.send(signal.SIGCONT)
    held.i9_recovers(lambda: stack.status()["ready"] is True)


def check_second(stack: Stack, mutant: Mutant = ()) -> None:
    """A second on the same directory refuses with a sentence, and the first is as it was."""
    run = Home(stack.data).run()
    said, code = held.up_refused(stack.data, mutant)
    after = Home(stack.data).run()
    assert code == 1, f"the second ran: {said}"
    assert "already runs in" in said
    assert "Traceback" not in said
    assert run is not None
    assert after is not None
    assert run.children == after.children, "the first lost a server"
    assert stack.status()["ready"] is True


@long_only
def test_two_at_once_on_a_new_directory(tmp_path: Path) -> None:
    """Both at the same moment: one runs, the other says why not."""
    stacks = [Stack(tmp_path / "data", port=0), Stack(tmp_path / "data", port=0)]
    stacks[1]._out = tmp_path / "other.out"  # they share a directory, not what they say
    try:
        for stack in stacks:
            stack.launch()
        held.i9_recovers(lambda: any("Stop with Ctrl-C" in stack.output for stack in stacks), 60)
        (winner,) = [stack for stack in stacks if "Stop with Ctrl-C" in stack.output]
        (loser,) = [stack for stack in stacks if stack is not winner]
        assert loser.wait(20) == 1
        assert "already runs in" in loser.output
        assert winner.status()["ready"] is True
    finally:
        for stack in stacks:
            stack.stop()
        forget(stacks[0].data)


@long_only
def test_without_the_lock_the_check_fails(tmp_path: Path) -> None:
    change = held.mutant("bartizan.stack.home", "fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)", "pass")
    stack = Stack(tmp_path / "data")
    try:
        stack.start()
        with pytest.raises(AssertionError, match=r"the second ran|lost a server"):
            check_second(stack, change)
    finally:
        stack.stop()
        forget(stack.data)
