"""Flows §7: from the feed to a refusal at the real Envoy, and closed whenever the feed is not seen."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import json
from msgspec.structs import replace
from structlog.testing import capture_logs
from tests.fixtures.waiting import until
from tests.gateway.conftest import TEMPLATE
from tests.gateway.issuer import FakeIssuer
from tests.gateway.site import Keys, make_site

from bartizan.gateway import envoy
from bartizan.gateway.agent import Agent
from bartizan.gateway.compiler import published
from bartizan.guard import keys as guard_keys
from bartizan.model.ended import MOST_LISTED


class Running:
    """A gateway with its agent in a thread of its own, before an issuer that can be played with."""

    def __init__(self) -> None:
        site = make_site(TEMPLATE, own=("auth", "inbox", "frontend", "files"), apps=("api",))
        site.settings = replace(site.settings, auth_address=f"unix:{site.directory}/issuer.sock")
        self.site = site
        self.issuer = FakeIssuer(site.directory / "issuer.sock", site.settings.id_origin, site.keys)
        self.agent = Agent(site.settings)
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        envoy.prepare(self.site.settings)
        self._thread.start()
        self.site.start_envoy()

    def _run(self) -> None:
        self._loop.run_until_complete(self.agent.run(self._stop))
        self._loop.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self.issuer.shutdown()
        self.issuer.server_close()
        self.site.stop()

    def status(self, **claims: object) -> int:
        return self.site.ask("GET", "/api/x", {"Authorization": f"Bearer {self.site.keys.token(**claims)}"}).status


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    made = Running()
    try:
        made.start()
        yield made
    finally:
        made.stop()


def test_it_opens_when_the_feed_is_seen(running: Running) -> None:
    until(lambda: running.status() == 200, 3)
    assert running.agent.ready
    assert running.agent.seen_age() < 5
    assert running.issuer.hosts == {running.site.host("id")}


def test_ended_is_refused_within_two_seconds(running: Running) -> None:
    until(lambda: running.status(gid="to-be-ended") == 200, 3)
    running.issuer.ended.add("to-be-ended")
    until(lambda: running.status(gid="to-be-ended") == 401, 2)
    assert running.status(gid="another") == 200


def test_a_key_that_is_swapped_is_gone_within_two_seconds(running: Running) -> None:
    until(lambda: running.status() == 200, 3)
    old, fresh = running.site.keys, Keys(running.site.settings.id_origin, running.site.settings.app_origin, kid="fresh")
    running.agent._watch.refetched()  # a stranger's unknown kid, a moment ago
    running.issuer.published, running.issuer.signing = [fresh], fresh
    until(lambda: running.status() == 401, 2)
    running.site.keys = fresh
    assert running.status() == 200
    assert old is not fresh


def test_unseen_closes_and_seen_opens_again(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    until(lambda: running.status() == 200, 3)
    monkeypatch.setattr(guard_keys, "UNSEEN", 1)
    running.issuer.away = True
    until(lambda: running.status() == 503, 4)
    assert not running.agent.ready
    assert running.site.ask("GET", "/open/x").status == 200
    running.issuer.away = False
    until(lambda: running.status() == 200, 3)
    running.issuer.age = 30  # answers, but old ones: counts as not seen
    until(lambda: running.status() == 503, 4)
    running.issuer.age = 0
    until(lambda: running.status() == 200, 3)


def written(directory: Path, name: str) -> dict[str, object]:
    return dict(json.decode((directory / name).read_bytes()))


def test_before_anything_is_seen_it_is_closed(tmp_path: Path) -> None:
    settings = replace(
        TEMPLATE,
        app_origin="http://app.localhost:1",
        id_origin="http://id.localhost:1",
        files_origin="http://files.localhost:1",
        auth_address=f"unix:{tmp_path}/none.sock",
        config_dir=tmp_path / "config",
        app_routes=(),
        hosts=(),
    )
    envoy.prepare(settings)
    assert written(tmp_path / "config", published.ENDED_FILE) == published.unseen()
    (tmp_path / "config" / published.ENDED_FILE).unlink()
    agent = Agent(settings)
    asyncio.run(agent.look())
    assert written(tmp_path / "config", published.ENDED_FILE) == published.unseen()
    assert not agent.ready
    assert agent.seen_age() == float("inf")
    agent._watch.stop()


def test_files_are_private_and_whole(running: Running) -> None:
    directory = running.site.settings.config_dir
    assert directory.stat().st_mode & 0o777 == 0o700
    for file in directory.iterdir():
        assert file.stat().st_mode & 0o777 == 0o600, file.name
        assert not file.name.startswith("."), "a half-written file was left"


def test_too_many_ended_are_said_loudly(running: Running) -> None:
    until(lambda: running.status() == 200, 3)
    with capture_logs() as lines:
        running.issuer.ended.update(f"gid-{number}" for number in range(2 * MOST_LISTED + 1))
        until(lambda: running.status(gid="gid-7") == 401, 4)
    assert "ended.too_many" in [line["event"] for line in lines if line["log_level"] == "error"]
