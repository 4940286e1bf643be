"""X17, X18: the worker dies in the middle of a mail; the mail server says 4xx, 5xx, nothing at all, or is not there.

A mail goes out once or twice, under one id, and its link works once (I2). Whoever signs up is told the same and as
fast (I10, no oracle); what cannot be sent waits longer and longer, up to a bound, and is then parked where it is seen.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from email.message import Message

import pytest
from tests.faults import steps
from tests.faults.forms import LONG, long_only
from tests.faults.stores import held
from tests.faults.stores.held import Mutant
from tests.faults.stores.sink import Sink
from tests.fixtures.nodes import Node, Site
from tests.fixtures.stack import free_port
from tests.fixtures.wire import Answer

from bartizan.worker.backoff import JITTER
from bartizan.worker.settings import WorkerSettings

pytestmark = pytest.mark.faults

PATIENCE = WorkerSettings()
# Patience that no file names, shortened so that the default run does not wait for it; the long run keeps it.
HURRY: Mutant = (
    ()
    if LONG
    else (
        *held.mutant("bartizan.worker.settings", "lease_seconds: float = 10.0", "lease_seconds: float = 2.0"),
        *held.mutant("bartizan.worker.settings", "timeout_seconds: float = 20.0", "timeout_seconds: float = 1.0"),
    )
)
_MARK = held.mutant(
    "bartizan.worker.settings", "keep_days: int = 30", "keep_days: int = 31"
)  # some change, for the hook
_LINK = re.compile(r"/verify/[A-Za-z0-9_.~-]+")
_JOBS = "SELECT attempts, status::text, extract(epoch FROM execute_after - updated)::float8 AS wait FROM pgqueuer"


@pytest.fixture
def auth(shared_nodes_site: Site) -> Iterator[Node]:
    node = shared_nodes_site.node("auth").start()
    steps.rows(shared_nodes_site, "DELETE FROM pgqueuer")
    yield node
    node.kill()


@contextmanager
def working(site: Site, port: int, *, mutant: Mutant = HURRY, failpoint: str = "") -> Iterator[Node]:
    mail = f'\n[worker.mail]\nhost = "127.0.0.1"\nport = {port}\nsecurity = "none"\n'
    more = f"{mail}\n[monitoring]\nport = {free_port()}\n"
    place = site.node("worker", "monitoring", more=more)
    # By the name that `up` gives it, for monitoring to know whose it is.
    node = Node(place.sockets / "effective.json", place.sockets, "work", ("worker", "monitoring"))
    site.nodes.append(node)
    try:
        yield node.start(mutant=mutant or _MARK, failpoint=failpoint)
    finally:
        node.kill()


def sign_up(browser: steps.Browser, email: str) -> Answer:
    page = browser.get("/signup")
    return browser.submit(page, "/signup", name="Ada", email=email, password=steps.PASSWORD)


def jobs(site: Site) -> list[dict[str, object]]:
    return steps.rows(site, f"{_JOBS} ORDER BY id")


def text_of(mail: Message) -> str:
    part = next(part for part in mail.walk() if part.get_content_type() == "text/plain")
    raw = part.get_payload(decode=True)
    assert isinstance(raw, bytes)
    return raw.decode()


def check_killed(site: Site, auth: Node, moment: str, mutant: Mutant = ()) -> None:
    email = f"{os.urandom(6).hex()}@example.com"
    browser = steps.Browser(auth)
    with closing(Sink()) as sink:
        sink.hold = moment == "before the answer"
        failpoint = "" if sink.hold else "mail.taken=kill@1"
        with working(site, sink.port, mutant=(*HURRY, *mutant), failpoint=failpoint) as worker:
            assert sign_up(browser, email).status == 303
            assert sink.came.wait(15)
            if sink.hold:
                worker.kill()
            assert worker.wait() == -9
            sink.hold = False
            worker.start(mutant=(*HURRY, *mutant) or _MARK)
            held.i9_recovers(lambda: jobs(site) == [], 2 * PATIENCE.lease_seconds)
        assert 1 <= len(sink.mails) <= 2, "I1: a mail at least, and not again and again"
        assert len({mail["Message-ID"] for mail in sink.mails}) == 1, "I5: one outbox id"
        links = {link for mail in sink.mails for link in _LINK.findall(text_of(mail))}
        assert len(links) == 1
        (link,) = links
    page = browser.get(link)
    assert browser.submit(page, link).status == 303
    again = browser.submit(page, link)
    assert again.status != 303, "I2: the link worked twice"
    assert steps.rows(site, "SELECT count(*) AS n FROM identifiers WHERE email = $1", email)[0]["n"] == 1


@pytest.mark.parametrize("moment", ["before the answer", pytest.param("after it", marks=long_only)])
def test_a_worker_killed_in_the_middle_of_a_mail(shared_nodes_site: Site, auth: Node, moment: str) -> None:
    check_killed(shared_nodes_site, auth, moment)


def again_now(site: Site, attempts: int) -> None:
    """As if so many had failed and the wait was over."""
    steps.rows(
        site, "UPDATE pgqueuer SET attempts = $1, execute_after = now() - interval '1 second' WHERE status = 'queued'",
        attempts,
    )  # fmt: skip


def check_broken_mail(site: Site, auth: Node, mutant: Mutant = ()) -> None:
    kinds = ("450", "550", "hang")
    port = free_port()
    with working(site, port, mutant=(*HURRY, *mutant)) as worker:
        # Nobody listens yet: refused, which is the first failure of each. I10: those who wait notice nothing.
        for kind in kinds:
            begun = time.monotonic()
            said = sign_up(steps.Browser(auth), f"{kind}{os.urandom(4).hex()}@example.com")
            assert (said.status, said.headers["location"]) == (303, "/check-mail")
            assert time.monotonic() - begun < 2, "whoever signs up waits for the mail server"
        failed(site, 1, PATIENCE.retry_first)
        with closing(Sink(port)):
            again_now(site, 6)
            failed(site, 7, PATIENCE.retry_cap)
            again_now(site, 7)
            held.i9_recovers(lambda: [job["status"] for job in jobs(site)] == ["failed"] * 3, 30)
        held.i9_recovers(lambda: parked_seen(worker) == 3)
        overview = worker.ask("GET", "/overview", at="monitoring").body.decode()
        assert "3 jobs have used up their attempts and are parked" in overview, overview
        held.i8_no_secret_in([worker.log], ["@example.com", steps.PASSWORD])
    steps.rows(site, "DELETE FROM pgqueuer")


def failed(site: Site, attempts: int, wait: float) -> None:
    """All three, once more; each waits about so long for the next time."""
    held.i9_recovers(lambda: [job["attempts"] for job in jobs(site)] == [attempts] * 3, 30)
    for job in jobs(site):
        waits = job["wait"]
        assert isinstance(waits, float)
        assert (1 - JITTER) * wait - 1 <= waits <= (1 + JITTER) * wait + 1, f"after {attempts} failures: {waits} s"


def parked_seen(worker: Node) -> int:
    text = worker.ask("GET", "/metrics", at="monitoring").body.decode()
    found = re.search(r'^bartizan_jobs_parked\{kind="mail.verify"\} (\d+)', text, re.MULTILINE)
    return int(found[1]) if found else 0


def test_a_mail_server_that_fails_in_every_way(shared_nodes_site: Site, auth: Node) -> None:
    check_broken_mail(shared_nodes_site, auth)


def check_room(site: Site, auth: Node, mutant: Mutant = ()) -> None:
    """I10: forty mails to a server that hangs, and the job behind them runs at once."""
    with closing(Sink()) as sink:
        held.enqueue(site, "mail.verify", hanging_links(site, 40))
        held.enqueue(site, "file.thumbnail", [{"file": "0" * 8 + "-0000-0000-0000-" + "0" * 12}])
        with working(
            site,
            sink.port,
            mutant=(*held.mutant("bartizan.worker.settings", "keep_days: int = 30", "keep_days: int = 31"), *mutant),
        ):
            waits = "SELECT 1 FROM pgqueuer WHERE entrypoint = 'file.thumbnail'"
            held.i9_recovers(lambda: steps.rows(site, waits) == [])
            assert len(jobs(site)) == 40
    steps.rows(site, "DELETE FROM pgqueuer")


def hanging_links(site: Site, number: int) -> list[dict[str, str]]:
    made = steps.rows(
        site,
        """
        INSERT INTO links (id, kind, detail, created_at, expires_at)
        SELECT gen_random_uuid(), 'verify', jsonb_build_object('email', 'hang' || n || '@example.com', 'name', 'Ada'),
               now(), now() + interval '1 hour' FROM generate_series(1, $1) AS n RETURNING id
        """,
        number,
    )
    return [{"link": str(row["id"])} for row in made]


def test_a_hanging_mail_server_leaves_room_for_other_jobs(shared_nodes_site: Site, auth: Node) -> None:
    check_room(shared_nodes_site, auth)


Check = Callable[[Site, Node, Mutant], None]
MUTANTS: dict[str, tuple[Mutant, Check, str]] = {
    "each try has an id of its own": (
        held.mutant("bartizan.worker.smtp", 'f"<{mail.id}@{domain}>"', 'f"<{now.timestamp()}@{domain}>"'),
        lambda site, auth, mutant: check_killed(site, auth, "before the answer", mutant),
        "I5",
    ),
    "the wait has no bound": (
        held.mutant("bartizan.worker.backoff", "min(settings.retry_cap, ", "max(0.0, "),
        check_broken_mail,
        "after 7 failures",
    ),
    "mail may take all the room": (
        held.mutant("bartizan.auth.mailjobs", "AT_ONCE = 2", "AT_ONCE = 0"),
        check_room,
        "not well again",
    ),
}


# These two wait for what does not come.
SLOW = {"the wait has no bound", "mail may take all the room"}


@pytest.mark.parametrize("name", [pytest.param(name, marks=long_only if name in SLOW else ()) for name in MUTANTS])
def test_without_the_protection_the_check_fails(shared_nodes_site: Site, auth: Node, name: str) -> None:
    mutant, check, why = MUTANTS[name]
    with pytest.raises(AssertionError, match=why):
        check(shared_nodes_site, auth, mutant)
    steps.rows(shared_nodes_site, "DELETE FROM pgqueuer")
