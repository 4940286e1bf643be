"""Flows §7: keys and the ended list as a process holds them, by a played network and by a real one on loopback."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any

import pytest

from bartizan.guard import keys, localhost
from bartizan.guard.fetch import Fetcher
from bartizan.guard.gate import Gate
from bartizan.guard.keys import Watch
from bartizan.guard.policy import GuardRequest, Resource, RoutePolicy, Who
from bartizan.guard.testing import Issuer
from bartizan.protocol.jose import InvalidToken
from bartizan.protocol.refusal import Refused, Unavailable

SIGNED_IN = RoutePolicy(who=Who.SIGNED_IN)


class Network:
    """A played issuer; polls happen when the test says so, the thread is kept waiting."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_893_456_000.0
        self.issuer = Issuer(clock=lambda: self.now)
        self.asked: list[str] = []
        self.feed: Callable[[], str] = self.issuer.feed
        self.jwks: dict[str, Any] = self.issuer.jwks
        self.down = False
        monkeypatch.setattr(Watch, "_run", lambda watch, stop: None)
        self.monotonic = 1000.0
        self.watch = Watch(
            self.issuer.issuer, fetch=self.fetch, clock=lambda: self.now, monotonic=lambda: self.monotonic
        )

    def fetch(self, path: str, timeout: float) -> bytes:
        assert 0 < timeout <= 4
        self.asked.append(path)
        if self.down:
            raise OSError("refused")
        return json.dumps(self.jwks).encode() if path == "/jwks" else self.feed().encode()

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.monotonic += seconds


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch) -> Network:
    return Network(monkeypatch)


def test_the_first_request_fetches_in_line_and_once(net: Network) -> None:
    assert not net.watch.started
    net.issuer.end("g1")
    assert "g1" in net.watch.current().ended
    assert net.watch.started
    net.watch.current()
    assert net.asked == ["/jwks", f"{keys.FEED_PATH}?after=0"]


def test_unseen_for_ten_seconds_is_503(net: Network) -> None:
    net.watch.current()
    net.pass_time(10)
    net.watch.current()
    net.pass_time(1)
    with pytest.raises(Unavailable):
        net.watch.current()
    net.watch.poll()
    net.watch.current()


def test_an_issuer_that_was_never_seen_is_503_and_not_asked_by_each_request(net: Network) -> None:
    net.down = True
    for _ in range(3):
        with pytest.raises(Unavailable):
            net.watch.current()
    assert net.asked == ["/jwks"]
    net.down = False
    net.watch.poll()
    net.watch.current()


def test_the_list_grows_by_polls_and_shrinks_by_the_whole_list(net: Network) -> None:
    net.issuer.end("g1")
    net.watch.current()
    net.issuer._ended.clear()
    net.issuer.end("g2")
    net.watch.poll()
    assert set(net.watch._held.ended) == {"g1", "g2"}  # type: ignore[call-overload]  # a Container that is a set
    net.pass_time(601)
    net.watch.poll()
    assert set(net.watch._held.ended) == {"g2"}  # type: ignore[call-overload]
    assert [path for path in net.asked if "after" in path] == [f"{keys.FEED_PATH}?after={n}" for n in (0, 1, 0)]


def test_of_many_what_has_left_the_list_is_held_two_minutes_longer(net: Network) -> None:
    """Where six end each second and are listed for three minutes, ten minutes of them would be three times the list."""
    net.watch.current()
    ended: list[tuple[float, str]] = []
    most = 0
    for second in range(1200):
        ended += [(net.now, f"{second}-{one}") for one in range(6)]
        ended = [entry for entry in ended if entry[0] > net.now - 180]
        net.issuer._ended = {gid for _, gid in ended}
        net.pass_time(1)
        net.watch.poll()
        held = net.watch._held.ended
        assert isinstance(held, frozenset)
        assert held >= {gid for _, gid in ended}
        most = max(most, len(held))
    assert 6 * 180 < most <= 6 * (180 + 122)
    assert sum(path.endswith("after=0") for path in net.asked) <= 11


def test_a_cursor_that_went_back_forgets_nothing(net: Network) -> None:
    net.issuer.end("g1")
    net.feed = lambda: net.issuer.feed(cursor=50)
    net.watch.current()
    net.feed = lambda: net.issuer.feed(cursor=3)
    net.watch.poll()
    net.watch.poll()
    assert [path for path in net.asked if "after" in path][-1].endswith("after=0")
    assert "g1" in net.watch.current().ended


@pytest.mark.parametrize("whole", [False, True], ids=["a part", "the whole"])
def test_what_the_database_lost_when_it_went_back_stays_ended(net: Network, whole: bool) -> None:
    net.issuer.end("g1")
    net.feed = lambda: net.issuer.feed(cursor=50)
    net.watch.current()
    net.issuer._ended.clear()
    net.issuer.end("g2")
    net.feed = lambda: net.issuer.feed(cursor=3)
    net.pass_time(601 if whole else 1)
    for _ in range(3):
        net.watch.poll()
        assert net.watch._held.ended == {"g1", "g2"}
    net.pass_time(3_700)
    net.watch.poll()
    assert net.watch._held.ended == {"g2"}, "no token of g1 can live"


def test_old_forged_and_foreign_feeds_do_not_count_as_seen(net: Network) -> None:
    net.watch.current()
    stranger = Issuer(clock=lambda: net.now)
    old = net.issuer.feed()
    token = net.issuer.token("alice", typ="ended+jwt")
    net.pass_time(11)
    for answer in (old, stranger.feed(), net.issuer.token("alice"), token, "", "x.y.z", "A" * 5_000_000):
        net.feed = lambda answer=answer: answer  # type: ignore[misc]  # a lambda with a default
        with pytest.raises(InvalidToken):
            net.watch.poll()
        with pytest.raises(Unavailable):
            net.watch.current()


def test_the_whole_list_of_20_000_fits(net: Network) -> None:
    for number in range(20_000):
        net.issuer.end(f"01890000-0000-7000-8000-{number:012d}")
    assert "01890000-0000-7000-8000-000000019999" in net.watch.current().ended


def test_an_unknown_kid_fetches_the_keys_again_but_not_often(net: Network) -> None:
    resource = Resource(issuer=net.issuer.issuer, audience=net.issuer.audience, app_origin=net.issuer.app_origin)
    gate = Gate(resource, net.watch, clock=lambda: net.now)
    rotated = Issuer(clock=lambda: net.now)
    rotated._signer.kid = "next"
    both = {"keys": [*net.issuer.jwks["keys"], rotated.jwks["keys"][0] | {"kid": "next"}]}
    request = GuardRequest(method="GET", authorization=(rotated.bearer("alice")["Authorization"],))
    for _ in range(3):  # too soon after the first fetch
        with pytest.raises(Refused):
            gate.admit(SIGNED_IN, request)
    assert net.asked.count("/jwks") == 1
    net.jwks = both
    net.pass_time(6)
    grant = gate.admit(SIGNED_IN, request)
    assert grant.token is not None
    assert grant.token.sub == "alice"
    for number in range(20):  # made-up kids cost no further fetch
        rotated._signer.kid, rotated._signer._headers = f"made-up-{number}", {}
        with pytest.raises(Refused):
            gate.admit(SIGNED_IN, GuardRequest(method="GET", authorization=(rotated.bearer("x")["Authorization"],)))
    assert net.asked.count("/jwks") == 2


def test_a_withdrawn_key_takes_its_warm_tokens_along(net: Network) -> None:
    resource = Resource(issuer=net.issuer.issuer, audience=net.issuer.audience, app_origin=net.issuer.app_origin)
    gate = Gate(resource, net.watch, clock=lambda: net.now)
    request = GuardRequest(method="GET", authorization=(net.issuer.bearer("alice")["Authorization"],))
    gate.admit(SIGNED_IN, request)
    successor = Issuer(clock=lambda: net.now)
    successor._signer.kid = "next"
    old = net.issuer.jwks["keys"][0]
    net.jwks = {"keys": [old, successor.jwks["keys"][0] | {"kid": "next"}]}
    net.pass_time(301)
    net.watch.poll()
    net.jwks = {"keys": [net.jwks["keys"][1]]}
    net.feed = lambda: successor.feed(kids=["next"])  # the feed says what is published now
    net.pass_time(2)
    net.watch.poll()
    net.watch.poll()
    with pytest.raises(Refused):
        gate.admit(SIGNED_IN, request)


def test_a_withdrawn_key_is_not_taken_back_from_an_old_jwks(net: Network) -> None:
    """A cache, or a node that has not heard of it: the feed has the word."""
    net.feed = lambda: net.issuer.feed(kids=["test"])
    net.watch.current()
    successor = Issuer(clock=lambda: net.now)
    successor._signer.kid = "next"
    both = {"keys": [net.issuer.jwks["keys"][0], successor.jwks["keys"][0] | {"kid": "next"}]}
    net.jwks, net.feed = both, lambda: successor.feed(kids=["next"])
    net.watch.poll()
    assert set(net.watch.current().keys.by_kid) == {"next"}
    net.pass_time(301)
    net.watch.poll()
    net.watch.refetched()
    assert set(net.watch.current().keys.by_kid) == {"next"}


def test_the_list_is_forgotten_with_the_key_not_before(net: Network) -> None:
    net.issuer.end("g1")
    net.feed = lambda: net.issuer.feed(kids=["test", "next"])
    successor = Issuer(clock=lambda: net.now)
    successor._signer.kid = "next"
    net.jwks = {"keys": [net.issuer.jwks["keys"][0], successor.jwks["keys"][0] | {"kid": "next"}]}
    net.watch.current()
    net.feed = lambda: successor.feed(kids=["next"])  # whose list is empty
    for seconds in (0, 9, 2):
        net.pass_time(seconds)
        net.watch.poll()
        assert set(net.watch.current().keys.by_kid) == {"next"}
        assert ("g1" in net.watch.current().ended) is (seconds != 2)
    assert [path for path in net.asked if "after" in path][-1].endswith("after=0")


def test_after_a_fork_the_child_watches_for_itself(net: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    net.watch.current()
    child = os.getpid() + 1
    monkeypatch.setattr(os, "getpid", lambda: child)
    assert not net.watch.started
    net.watch.current()
    assert net.asked.count("/jwks") == 2


# The real network


class Handler(BaseHTTPRequestHandler):
    issuer: Issuer
    hosts: list[str]

    def do_GET(self) -> None:
        self.hosts.append(self.headers["Host"])
        if self.path == "/jwks":
            body = json.dumps(self.issuer.jwks).encode()
        elif self.path.startswith(keys.FEED_PATH):
            body = self.issuer.feed().encode()
        else:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        pass


class UnixServer(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


@contextmanager
def serving(server: Any) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_over_http_by_a_localhost_name_until_an_end_arrives() -> None:
    handler = type("H", (Handler,), {"hosts": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    issuer = Issuer(issuer=f"http://id.localhost:{server.server_port}")
    handler.issuer = issuer  # type: ignore[attr-defined]  # made by type()
    with serving(server):
        watch = Watch(issuer.issuer)
        try:
            assert "g1" not in watch.current().ended
            issuer.end("g1")
            arrived = threading.Event()
            for _ in range(100):
                if "g1" in watch.current().ended:
                    arrived.set()
                    break
                arrived.wait(0.05)
            assert arrived.is_set()
        finally:
            watch.stop()
    assert set(handler.hosts) == {f"id.localhost:{server.server_port}"}  # type: ignore[attr-defined]


def test_over_a_unix_socket_under_the_issuers_name(tmp_path: Path) -> None:
    handler = type("H", (Handler,), {"hosts": []})
    issuer = Issuer(issuer="https://id.example.com")
    handler.issuer = issuer  # type: ignore[attr-defined]
    path = tmp_path / "auth.sock"
    with serving(UnixServer(str(path), handler)):
        watch = Watch(issuer.issuer, address=f"unix:{path}")
        watch.current()
        watch.stop()
    assert set(handler.hosts) == {"id.example.com"}  # type: ignore[attr-defined]


def test_answers_that_are_none() -> None:
    handler = type("H", (Handler,), {"hosts": [], "issuer": Issuer()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    fetch = Fetcher(f"http://127.0.0.1:{server.server_port}")
    with serving(server):
        with pytest.raises(OSError, match="answers 404"):
            fetch("/nowhere", 1)
        assert fetch("/jwks", 1)
    with pytest.raises(OSError, match="refused"):
        fetch("/jwks", 1)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True),
        ("id.localhost", True),
        ("ID.LocalHost.", True),
        ("localhost.example.com", False),
        ("notlocalhost", False),
        ("id.localhost.evil.test", False),
        ("", False),
    ],
)
def test_localhost_names(host: str, local: bool) -> None:
    assert localhost.is_local(host) == local
    assert localhost.resolve(host) == ("127.0.0.1" if local else host)


def test_install_teaches_the_whole_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", socket.getaddrinfo)
    localhost.install()
    localhost.install()
    assert {row[4][0] for row in socket.getaddrinfo("id.localhost", 80, type=socket.SOCK_STREAM)} == {"127.0.0.1"}
    assert socket.getaddrinfo("id.localhost", 80, family=socket.AF_INET6)[0][4][0] == "::1"
    assert socket.getaddrinfo(b"id.localhost", 80)[0][4][0] == "127.0.0.1"
    assert socket.getaddrinfo("127.0.0.1", 80)[0][4][0] == "127.0.0.1"
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(("deep.id.localhost", server.getsockname()[1]), timeout=1).close()


class Garbage(Handler):
    def do_GET(self) -> None:
        self.wfile.write(b"what?\r\n")


def test_garbage_on_the_wire_is_an_absent_issuer_not_a_defect() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Garbage)
    fetch = Fetcher(f"http://127.0.0.1:{server.server_port}")
    with serving(server), pytest.raises(OSError, match="no HTTP"):
        fetch("/jwks", 1)


def test_the_thread_outlives_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_PAUSE", 0.0)
    watch, stop, faults = Watch("http://id.localhost:1"), threading.Event(), [RuntimeError("odd"), OSError(), None]

    def poll() -> None:
        fault = faults.pop(0)
        if fault is None:
            stop.set()
            return
        raise fault

    monkeypatch.setattr(watch, "poll", poll)
    watch._run(stop)
    assert faults == []
