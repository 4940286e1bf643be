"""X11, X10 (logs): whoever reads our logs or looks at our servers is stopped, gone, or has no room left.

No request waits for them (I10), what waits for them is bounded, and no token goes without its audit row (I7).
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import time
from pathlib import Path

import pytest
from tests.faults import steps
from tests.faults.kernel import resident
from tests.faults.stores import held
from tests.faults.stores.held import Mutant
from tests.fixtures.nodes import Node, Site
from tests.fixtures.stack import free_port

from bartizan.monitoring.spool import MOST, Spool
from bartizan.stack import logs

pytestmark = pytest.mark.faults

REQUESTS = 1500  # each writes a line of some 200 bytes: together more than may wait
_PIPE = 4096


def listening_to(node: Node) -> int:
    """Its log is a pipe from now on; gives the end to read from."""
    os.mkfifo(node.log)
    handle = os.open(node.log, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(handle, fcntl.F_SETPIPE_SZ, _PIPE)
    return handle


def drained(handle: int) -> bytes:
    data = b""
    try:
        while part := os.read(handle, 65536):
            data += part
    except BlockingIOError:
        return data
    return data


def refused(node: Node) -> int:
    """A request that is refused, and so logged."""
    return node.ask("GET", "/authorize?client_id=nobody", timeout=3).status


def check_blocked(site: Site, mutant: Mutant = ()) -> None:
    node = site.node("auth")
    reading = listening_to(node)
    try:
        node.start(mutant=mutant)
        before = resident(node.pid)
        begun = time.monotonic()
        for _ in range(REQUESTS):
            assert refused(node) == 400, "I10: a request waits for the log"
        assert time.monotonic() - begun < 30
        person = steps.people(site)[0]
        held.i7_audited(site, [steps.redeem(node, steps.code_in(steps.authorize(node, person)))])
        assert resident(node.pid) - before < 12 * 1024 * 1024, "the spool is bounded"
        said = b""
        for _ in range(4 * MOST // _PIPE):  # each reading makes room for a piece of what waits
            said += drained(reading)
            assert refused(node) == 400
            if b"logs.dropped" in said and said.endswith(b"\n"):
                break
        lines = [json.loads(line) for line in said.splitlines()]
        left_out = [line["lines"] for line in lines if line["event"] == "logs.dropped"]
        assert len(left_out) == 1, lines[-3:]
        assert left_out[0] > 0
        seen = len([line for line in lines if line["event"] == "refused"])
        assert seen + left_out[0] >= REQUESTS, "each line is there or counted"
        os.close(reading)
        reading = -1
        assert [refused(node) for _ in range(5)] == [400] * 5, "nor does one break when nobody reads any more"
    finally:
        if reading >= 0:
            os.close(reading)
        node.kill()


def test_no_request_waits_for_a_blocked_log(shared_nodes_site: Site) -> None:
    check_blocked(shared_nodes_site)


def check_full_log(site: Site, mutant: Mutant = ()) -> None:
    """A limit on the size of a file says EFBIG where a full disk says ENOSPC: for any user, on any kernel."""
    node = site.node("auth").start(prefix=("prlimit", "--fsize=3000"), mutant=mutant)
    try:
        assert [refused(node) for _ in range(40)] == [400] * 40, "a log that cannot be written breaks no request"
        assert node.log.stat().st_size <= 3000
        person = steps.people(site)[0]
        held.i7_audited(site, [steps.redeem(node, steps.code_in(steps.authorize(node, person)))])
    finally:
        node.kill()


def test_a_log_without_room_breaks_no_request(shared_nodes_site: Site) -> None:
    check_full_log(shared_nodes_site)


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
def test_without_monitoring_everything_goes_on(shared_nodes_site: Site, how: signal.Signals) -> None:
    """The console says that it knows nothing, within its deadline, and nobody else notices."""
    site = shared_nodes_site
    # One node's place for two processes: the console asks for its neighbour there.
    place = site.node("auth", "monitoring", more=f"\n[monitoring]\nport = {free_port()}\n")
    admin, other = steps.people(site, 2, password=True)
    steps.rows(site, "UPDATE users SET admin = true WHERE id = $1", admin.user.id)
    file = place.sockets / "effective.json"
    watch, serve = (Node(file, place.sockets, name, (name,)) for name in ("monitoring", "auth"))
    site.nodes += [watch, serve]
    try:
        watch.start()
        serve.start()
        watch.send(how)
        browser = steps.Browser(serve, admin.cookie)
        begun = time.monotonic()
        assert browser.get("/admin").status == 200
        assert time.monotonic() - begun < 5
        assert steps.sign_in(steps.Browser(serve), other).status == 303
        held.i7_audited(site, [steps.redeem(serve, steps.code_in(steps.authorize(serve, other)))])
    finally:
        if how is signal.SIGSTOP:
            watch.send(signal.SIGCONT)
            watch.kill()
        watch.wait()
        serve.kill()


def test_what_waits_is_bounded_and_counted() -> None:
    reading, writing = os.pipe()
    try:
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE)
        os.set_blocking(reading, False)
        spool = Spool(writing, lambda lines: f"left out {lines}")
        for number in range(20_000):
            spool.write(f"{number:099d}\n")
        taken = b""
        for _ in range(4 * MOST // _PIPE):
            taken += drained(reading)
            spool.write("and on\n")
            if b"left out" in taken and taken.endswith(b"\n"):
                break
        lines = taken.decode().splitlines()
        (told,) = [line for line in lines if line.startswith("left out")]
        assert len(taken) < MOST + 2 * _PIPE + 20_000
        kept = [line for line in lines if line.isdigit()]
        assert len(kept) + int(told.split()[-1]) == 20_000
        assert kept == [f"{number:099d}" for number in range(len(kept))], "in order, and none cut"
        assert os.get_blocking(writing), "who shares the handle finds it as it was"
    finally:
        os.close(reading)
        os.close(writing)


def test_a_log_that_cannot_begin_a_new_file_goes_on_in_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And writes to no number that was closed: by then it may be another file's."""
    monkeypatch.setattr(logs, "LARGEST", 100)
    log = logs.LogFile(tmp_path / "web.log")
    log.write(b"x" * 90 + b"\n")
    open_file = os.open

    def full(path: object, *more: object, **named: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "open", full)
    for _ in range(5):
        log.write(b"lost\n" * 4)
    monkeypatch.setattr(os, "open", open_file)
    log.write(b"there is room again\n")
    assert (tmp_path / "web.log").read_bytes() == b"there is room again\n"
    assert (tmp_path / "web.log.1").read_bytes().startswith(b"x" * 90)
    assert len(list(tmp_path.iterdir())) == 2, "nothing older was pushed out meanwhile"
    log.close()


MUTANTS = {
    "the log is written as to a file": (
        held.mutant(
            "bartizan.monitoring.spool", "os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC", "os.O_WRONLY | os.O_CLOEXEC"
        ),
        check_blocked,
    ),
    "a failing write is let through": (
        held.mutant(
            "bartizan.monitoring.spool",
            "        except OSError:  # nobody",
            "        except ZeroDivisionError:  # nobody",
        ),
        check_full_log,
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_without_the_protection_the_check_fails(shared_nodes_site: Site, name: str) -> None:
    mutant, check = MUTANTS[name]
    with pytest.raises(AssertionError, match=r"a request waits|breaks no request"):
        check(shared_nodes_site, mutant)
