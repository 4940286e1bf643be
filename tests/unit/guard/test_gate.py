"""The warm cache is bounded, saves the signature alone, and never outlives keys, time or end."""

from __future__ import annotations

import asyncio

import pytest

from bartizan.guard import gate as gates
from bartizan.guard.gate import Gate, Held
from bartizan.guard.policy import GuardRequest, Resource, RoutePolicy, Who
from bartizan.guard.testing import Issuer
from bartizan.protocol import jose
from bartizan.protocol.refusal import Refused

SIGNED_IN = RoutePolicy(who=Who.SIGNED_IN)


class Bench:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_893_456_000.0
        self.issuer = Issuer(clock=lambda: self.now)
        resource = Resource(issuer=self.issuer.issuer, audience=self.issuer.audience, app_origin=self.issuer.app_origin)
        self.gate = Gate(resource, self.issuer, clock=lambda: self.now)
        self.verified = 0
        plain = jose.verify

        def counting(*args: object, **named: object) -> object:
            self.verified += 1
            return plain(*args, **named)  # type: ignore[arg-type]  # handed on as they came

        monkeypatch.setattr(jose, "verify", counting)

    def request(self, sub: str = "alice", gid: str = "g1") -> GuardRequest:
        return GuardRequest(method="GET", authorization=(self.issuer.bearer(sub, gid=gid)["Authorization"],))


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def test_a_warm_token_is_verified_once_and_checked_each_time(bench: Bench) -> None:
    request = bench.request()
    for _ in range(5):
        bench.gate.admit(SIGNED_IN, request)
    assert bench.verified == 1
    bench.issuer.end("g1")
    with pytest.raises(Refused):
        bench.gate.admit(SIGNED_IN, request)


def test_bad_tokens_are_not_kept(bench: Bench) -> None:
    bad = GuardRequest(method="GET", authorization=("Bearer x.y.z",))
    for _ in range(3):
        with pytest.raises(Refused):
            bench.gate.admit(SIGNED_IN, bad)
    assert bench.gate._cache.tokens == {}


def test_the_cache_is_bounded_and_lets_the_oldest_go(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "CACHE_BOUND", 3)
    requests = [bench.request(f"user-{number}") for number in range(5)]
    for request in requests:
        bench.gate.admit(SIGNED_IN, request)
    assert [token.sub for token in bench.gate._cache.tokens.values()] == ["user-2", "user-3", "user-4"]
    bench.gate.admit(SIGNED_IN, requests[0])
    assert bench.verified == 6


def test_what_has_expired_leaves_the_cache_when_another_comes(bench: Bench) -> None:
    for minute in range(60):
        bench.gate.admit(SIGNED_IN, bench.request(f"user-{minute}"))
        bench.now += 60
    lifetime = 5
    assert [token.sub for token in bench.gate._cache.tokens.values()] == [
        f"user-{n}" for n in range(60 - lifetime - 1, 60)
    ]


def test_new_keys_begin_a_new_cache(bench: Bench) -> None:
    request = bench.request()
    bench.gate.admit(SIGNED_IN, request)
    bench.issuer._keys = jose.key_set({"keys": []})
    with pytest.raises(Refused):
        bench.gate.admit(SIGNED_IN, request)


def test_an_event_loop_waits_for_no_network_and_needs_no_thread_when_warm(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_loop: list[bool] = []
    plain = Issuer.current

    def current(issuer: Issuer) -> Held:
        try:
            on_loop.append(bool(asyncio.get_running_loop()))
        except RuntimeError:
            on_loop.append(False)
        return plain(issuer)

    monkeypatch.setattr(Issuer, "current", current)
    asyncio.run(bench.gate.admit_async(SIGNED_IN, bench.request()))
    assert on_loop == [True]
    stranger = Issuer(clock=lambda: bench.now)
    stranger._signer.kid = "unknown"
    forged = GuardRequest(method="GET", authorization=(stranger.bearer("x")["Authorization"],))
    with pytest.raises(Refused):
        asyncio.run(bench.gate.admit_async(SIGNED_IN, forged))
    assert on_loop == [True, True, False]  # an unknown kid may fetch keys: not on the loop


def test_a_stream_lives_as_long_as_its_token(bench: Bench) -> None:
    token = bench.gate.admit(SIGNED_IN, bench.request()).token
    assert token is not None
    bench.now = token.exp + jose.LEEWAY - 1
    assert bench.gate.alive(token)
    bench.now += 1
    assert not bench.gate.alive(token)
    bench.now = token.exp
    bench.issuer.end("g1")
    assert not bench.gate.alive(token)


def test_a_stream_ends_with_the_key_that_opened_it(bench: Bench) -> None:
    """More may have ended than is listed: then its key is withdrawn, and nothing else tells of it."""
    token = bench.gate.admit(SIGNED_IN, bench.request()).token
    assert token is not None
    assert bench.gate.alive(token)
    bench.issuer._keys = jose.key_set({"keys": []})
    assert not bench.gate.alive(token)
