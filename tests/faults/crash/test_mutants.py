"""A fault run that passes with its protection taken out is no test: under each mutant its own check fails, by name."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.faults.crash import uploads
from tests.faults.crash.bench import Bench, Prepare, goes_on
from tests.faults.crash.test_cuts import upload_leaves_nothing
from tests.faults.crash.test_kills import DEEDS
from tests.faults.crash.test_refresh_kills import late_retry_is_counted
from tests.faults.crash.test_replays import twice_at_once
from tests.faults.crash.wire import cut_request
from tests.faults.mutants import MUTANTS
from tests.fixtures.nodes import Site

pytestmark = pytest.mark.faults

Check = Callable[[Bench], None]


def killed(name: str, mark: str) -> Check:
    def check(bench: Bench) -> None:
        deed = DEEDS[name](bench)
        goes_on(bench, deed, bench.killed_at(deed.sent, mark, 1), name)

    return check


def doubled(name: str) -> Check:
    def check(bench: Bench) -> None:
        twice_at_once(bench, DEEDS[name](bench), name)

    return check


def walked(prepare: Prepare) -> Check:
    def check(bench: Bench) -> None:
        deed = prepare(bench)
        goes_on(bench, deed, deed.sent.to(bench.node), "nothing broken")

    return check


def _broken_upload(bench: Bench) -> None:
    sent = uploads.upload(bench, bench.person())
    assert sent.to(bench.node).status == 201
    cut_request(bench.node, sent, len(sent.raw()) // 2)
    try:
        upload_leaves_nothing(bench, seconds=1.0)
    finally:
        uploads.sweep(bench)


# Which check sees that the promise is gone, and by which invariant.
CHECKS: dict[str, tuple[Check, str]] = {
    "a code buys once": (doubled("redeem"), "I2"),
    "a code that comes back ends what it bought": (walked(DEEDS["redeem"]), "I2"),
    "a rotation looks at the generation": (walked(DEEDS["refresh"]), "I2"),
    "a lost answer is given again": (walked(DEEDS["refresh"]), "I10"),
    "the grace ends": (late_retry_is_counted, "I2"),
    "theft ends the family": (walked(DEEDS["refresh"]), "I4"),
    "a code and its event are one commit": (killed("authorize", "code.committed"), "I7"),
    "a family and its event are one commit": (walked(DEEDS["redeem"]), "I7"),
    "a request_uri is opened once": (doubled("open what was pushed"), "I2"),
    "a mailed link works once": (walked(DEEDS["reset"]), "I7|I10"),
    "what is ended is listed": (walked(DEEDS["revoke"]), "I1"),
    "signing out ends the families": (walked(DEEDS["sign out"]), "I4"),
    "a reset ends the sessions": (walked(DEEDS["reset"]), "I4"),
    "an ending is noted once": (walked(DEEDS["lock a user"]), "I7"),
    "a broken upload leaves nothing": (_broken_upload, "I10"),
}


@pytest.mark.parametrize("promise", CHECKS)
def test_without_its_protection_the_check_fails(crash_site: Site, promise: str) -> None:
    check, invariant = CHECKS[promise]
    with_files = promise == "a broken upload leaves nothing"
    servers = ("auth", "files") if with_files else ("auth",)
    nodes = 2 if promise == "a code and its event are one commit" else 1
    bench = Bench(crash_site, *servers, nodes=nodes, more=uploads.more(crash_site)).start((MUTANTS[promise],))
    try:
        with pytest.raises(AssertionError, match=invariant):
            check(bench)
    finally:
        bench.stop()


def test_each_mutant_has_its_check() -> None:
    """A room that adds a row adds its check here."""
    assert set(CHECKS) == set(MUTANTS)
