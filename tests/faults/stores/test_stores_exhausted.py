"""X22: out of descriptors, out of memory. The accept loop survives (I9), readiness says so before requests fail, and
what one request cannot have costs that request alone (I10).
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults import steps
from tests.faults.kernel import descriptors, resident
from tests.faults.stores import held
from tests.faults.stores.held import Mutant
from tests.fixtures.nodes import Node, Site

pytestmark = pytest.mark.faults

HANDLES = 96


def hold(node: Node, number: int) -> list[socket.socket]:
    """Connections that ask nothing and do not go."""
    held_open = []
    for _ in range(number):
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(2)
        line.connect(str(node.sockets / "auth.sock"))
        held_open.append(line)
    return held_open


def check_descriptors(site: Site, mutant: Mutant = ()) -> None:
    node = site.node("auth").start(prefix=("prlimit", f"--nofile={HANDLES}"), mutant=mutant)
    person = steps.people(site)[0]
    held_open: list[socket.socket] = []
    try:
        told = False
        while descriptors(node.pid) < HANDLES - 2 and len(held_open) < 2 * HANDLES:
            held_open += hold(node, 1)
            held.i9_recovers(lambda: descriptors(node.pid) > 0)
            served = steps.authorize(node, person).status == 303
            told = told or not node.ready()
            assert served or told, "a request failed and readiness had said nothing"
        held_open += hold(node, 10)  # and past the end
        assert told, "readiness says so before it fails"
        for line in held_open:
            line.close()
        held_open = []
        held.i9_recovers(node.ready)
        held.i7_audited(site, [steps.redeem(node, steps.code_in(steps.authorize(node, person)))])
    finally:
        for line in held_open:
            line.close()
        node.kill()


def test_out_of_descriptors_it_says_so_and_serves_again(shared_nodes_site: Site) -> None:
    check_descriptors(shared_nodes_site)


def test_without_the_question_about_descriptors_the_check_fails(shared_nodes_site: Site) -> None:
    change = held.mutant("bartizan.stack.descriptors", "return len(os.listdir", "return True or len(os.listdir")
    with pytest.raises(AssertionError, match=r"readiness"):
        check_descriptors(shared_nodes_site, change)


def test_a_request_without_memory_is_one_request(shared_nodes_site: Site) -> None:
    """MemoryError where the code is made: that one is told 500, nothing is half made, and the next ones are well."""
    site = shared_nodes_site
    node = site.node("auth").start(failpoint="store.commit=memory@2")
    try:
        person = steps.people(site)[0]
        before = steps.rows(site, "SELECT count(*) AS n FROM codes")[0]["n"]
        answers = [steps.authorize(node, person) for _ in range(6)]
        codes = [answer for answer in answers if answer.status == 303]
        assert len(codes) >= 5, answers
        assert [answer.status for answer in answers if answer not in codes] in ([], [500])
        assert steps.rows(site, "SELECT count(*) AS n FROM codes")[0]["n"] - before == len(codes), "I1 I2"
        held.i7_audited(site, [steps.redeem(node, steps.code_in(answer)) for answer in codes])
        assert node.ready()
    finally:
        node.kill()


@contextlib.contextmanager
def memory_of(pid: int, more: int) -> Iterator[Path]:
    """A group of the kernel's that holds this process to what it has and so much more."""
    top = next((path for path in (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")) if path.is_dir()), None)
    limit = "memory.limit_in_bytes" if top is not None and top.name == "memory" else "memory.max"
    group = (top or Path("/nowhere")) / f"bartizan-{os.getpid()}"
    try:
        group.mkdir()
        if not (group / limit).exists():
            raise OSError("no memory controller")
        (group / "cgroup.procs").write_text(str(pid))
        # Pages from before are charged to where they came from.
        (group / limit).write_text(str(more + resident(pid) // 4))
    except OSError as wrong:
        with contextlib.suppress(OSError):
            group.rmdir()
        pytest.skip(f"no group for memory can be made here: {wrong}")
    try:
        yield group
    finally:
        held.i9_recovers(lambda: not (group / "cgroup.procs").read_text().strip(), 5)
        group.rmdir()


def test_killed_for_its_memory_it_leaves_nothing_half(shared_nodes_site: Site) -> None:
    """The kernel's own kill, in the middle of sign-ins (each hash takes 19 MB). Who starts it again: X7."""
    site = shared_nodes_site
    node = site.node("auth").start()
    person = steps.people(site, password=True)[0]
    try:
        with memory_of(node.pid, 4 * 1024 * 1024):
            end = time.monotonic() + 20
            while node.living and time.monotonic() < end:
                steps.sign_in(steps.Browser(node), person)
            assert node.wait() == -signal.SIGKILL
        node.start()
        held.i7_audited(site, [steps.redeem(node, steps.code_in(steps.authorize(node, person)))])
        counted = steps.rows(
            site,
            "SELECT (SELECT count(*) FROM sessions WHERE user_id = $1) AS sessions,"
            " (SELECT count(*) FROM events WHERE code = 'signin.done' AND user_id = $1) AS events",
            person.user.id,
        )[0]
        assert counted["sessions"] == counted["events"] + 1, "I7: a session and its event are one (one was planted)"
    finally:
        node.kill()
