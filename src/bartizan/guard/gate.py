"""Where policy, keys and the ended list meet: one `admit` for every adapter, with a warm cache of verified tokens.

The cache saves the signature check alone. Expiry and end are looked at on every hit, and it is dropped with the keys
under which its tokens were verified, so a withdrawn key takes its tokens along.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Container
from threading import Lock
from typing import Protocol

from msgspec import Struct

from bartizan.guard import policy
from bartizan.guard.policy import Grant, GuardRequest, Resource, RoutePolicy, Token
from bartizan.protocol import jose
from bartizan.protocol.jose import InvalidToken, KeySet, UnknownKey

CACHE_BOUND = 10_000


class Held(Struct, frozen=True):
    """What this process holds of the issuer at a moment."""

    keys: KeySet
    ended: Container[str]


class Source(Protocol):
    @property
    def started(self) -> bool:
        """False: the next `current` may wait for the network, up to a second."""
        ...

    def current(self) -> Held:
        """Raises Unavailable when the issuer has not been seen for too long."""
        ...

    def refetched(self) -> Held | None:
        """After an unknown `kid`: newer keys, or None when they were fetched a moment ago."""
        ...


class _NeedsNetwork(Exception):  # noqa: N818 - no error: ask again from a thread
    pass


class _Cache:
    """Tokens verified under one set of keys. The oldest leave when they have expired, or when it is full.

    An issuer's tokens live about as long, so the first in are the first to expire; one that lives longer holds up
    those behind it, until the cache is full.
    """

    def __init__(self, keys: KeySet) -> None:
        self.keys = keys
        self.tokens: dict[str, Token] = {}
        self._lock = Lock()

    def keep(self, text: str, token: Token, now: float) -> None:
        with self._lock:
            while self.tokens:
                oldest = next(iter(self.tokens))
                if len(self.tokens) < CACHE_BOUND and self.tokens[oldest].exp + jose.LEEWAY > now:
                    break
                del self.tokens[oldest]
            self.tokens[text] = token


class Gate:
    def __init__(self, resource: Resource, source: Source, clock: Callable[[], float] = time.time) -> None:
        self.resource = resource
        self.source = source
        self._clock = clock
        self._cache = _Cache(KeySet({}))

    def admit(self, route: RoutePolicy, request: GuardRequest) -> Grant:
        """Grant, or Refused, or Unavailable. A public route is answered even when the issuer is away."""
        return self._admit(route, request, may_wait=True)

    async def admit_async(self, route: RoutePolicy, request: GuardRequest) -> Grant:
        """The same for an event loop: what may wait for the network does so in a thread."""
        try:
            return self._admit(route, request, may_wait=False)
        except _NeedsNetwork:
            return await asyncio.to_thread(self.admit, route, request)

    def _admit(self, route: RoutePolicy, request: GuardRequest, *, may_wait: bool) -> Grant:
        text = policy.presented(route, request, self.resource)
        if text is None:
            return policy.ANONYMOUS
        if not may_wait and not self.source.started:
            raise _NeedsNetwork
        held = self.source.current()
        now = self._clock()
        try:
            token = self._read(text, held, now, may_wait=may_wait)
        except InvalidToken as bad:
            raise policy.invalid_token(self.resource, bad.reason) from None
        return policy.decide(route, request, self.resource, token, held.ended, now)

    def alive(self, token: Token) -> bool:
        """For streams: may this token's answer go on? Unavailable is raised like at the door."""
        held = self.source.current()
        if token.kid and token.kid not in held.keys.by_kid:
            return False  # with its key all that it signed has ended, listed or not
        return self._clock() < token.exp + jose.LEEWAY and token.gid not in held.ended

    def _read(self, text: str, held: Held, now: float, *, may_wait: bool) -> Token:
        cache = self._cache
        if cache.keys is not held.keys:
            cache = self._cache = _Cache(held.keys)
        token = cache.tokens.get(text)
        if token is not None:
            return token
        try:
            token = self._verified(text, held.keys, now)
        except UnknownKey:
            if not may_wait:
                raise _NeedsNetwork from None
            newer = self.source.refetched()
            if newer is None:
                raise
            return self._verified(text, newer.keys, now)
        cache.keep(text, token, now)
        return token

    def _verified(self, text: str, keys: KeySet, now: float) -> Token:
        resource = self.resource
        claims = jose.verify(
            text,
            keys,
            algorithms=resource.algorithms,
            typ="at+jwt",
            issuer=resource.issuer,
            audience=resource.audience,
            now=int(now),
        )
        return policy.token_of(claims, jose.kid_of(text))
