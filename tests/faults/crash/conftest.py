"""One pair of nodes for all of this room: what is counted hangs on people of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.crash import uploads
from tests.faults.crash.bench import Bench
from tests.fixtures.nodes import Site, sites

SERVERS = ("auth", "frontend", "files")


@pytest.fixture(scope="session")
def crash_site(site_template: Path) -> Iterator[Site]:
    yield from sites(site_template)


@pytest.fixture(scope="session")
def crash_bench(crash_site: Site) -> Bench:
    """The site ends its nodes."""
    return Bench(crash_site, *SERVERS, more=uploads.more(crash_site)).start()


@pytest.fixture
def bench(crash_bench: Bench) -> Bench:
    """As the last test left it, disarmed, both nodes up."""
    return crash_bench.mended()
