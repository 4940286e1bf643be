"""Flows §7: the agent beside each Envoy, without access to the database.

It reads keys and feed as every guard does (`guard.keys.Watch`) and hands them to Envoy as files: the JWT check, the
deny list, the certificate. A feed that was not confirmed for 10 s is published as "unseen": 503 for who shows a token.
Gone itself for 10 s, the supervisor stops Envoy.
"""

from __future__ import annotations

import asyncio
from asyncio import Event
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

import structlog

from bartizan.gateway import publish
from bartizan.gateway.compiler import published
from bartizan.gateway.compiler.envoy_types import Json
from bartizan.gateway.issuer import JWKS_PATH, Issuer
from bartizan.gateway.settings import GatewaySettings
from bartizan.guard.gate import Held
from bartizan.guard.keys import Watch
from bartizan.model.ended import MOST_LISTED
from bartizan.protocol.refusal import Unavailable

# Seconds between glances. The Watch's own thread waits for the network; each question and answer of it calls for one.
_QUIET = 2.0
_APPLIED = 0.02  # after an answer; where that is too short, the next question calls
_DOUBTFUL = 0.25  # when the feed has not answered for `_DOUBT` seconds: "unseen" is near
_DOUBT = 3.0
_KEYS_EVERY = 30.0
_CERTIFICATE_EVERY = 5.0
# The issuer lists no more than MOST_LISTED, and changes its key then. What has left its list is held a while longer.
_FAR_TOO_MANY = 2 * MOST_LISTED


class Agent:
    """`run` until told to stop. `ready`: Envoy has, or had a moment ago, a confirmed list."""

    def __init__(
        self, settings: GatewaySettings, *, watch: Watch | None = None, clock: Callable[[], float] = monotonic
    ) -> None:
        self._settings = settings
        self._called = asyncio.Event()
        self._issuer = Issuer(settings, self._call)
        self._watch = watch or Watch(settings.id_origin, jwks_path=JWKS_PATH, fetch=self._issuer)
        self._clock = clock
        self._published: dict[str, Json] = {}
        self._held: Held | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._keys_at = clock()
        self._certificate_at = float("-inf")
        self._log: Any = structlog.get_logger()

    @property
    def ready(self) -> bool:
        return self._held is not None

    def seen_age(self) -> float:
        """Seconds since the feed last answered; infinite before it ever did."""
        return self._clock() - self._issuer.answered_at

    async def run(self, stop: Event) -> None:
        publish.make_directory(self._settings.config_dir, self._settings.owner)
        self._loop = asyncio.get_running_loop()
        ending = asyncio.create_task(self._end(stop))
        try:
            while not stop.is_set():
                self._called.clear()
                await self.look()
                timer = self._loop.call_later(_QUIET if self.seen_age() < _DOUBT else _DOUBTFUL, self._called.set)
                await self._called.wait()
                timer.cancel()
        finally:
            ending.cancel()
            self._watch.stop()

    async def _end(self, stop: Event) -> None:
        await stop.wait()
        self._called.set()

    def _call(self) -> None:
        """By the Watch's thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has just ended
                self._loop.call_soon_threadsafe(self._loop.call_later, _APPLIED, self._called.set)

    async def look(self) -> None:
        """One glance: publish what has changed since the last."""
        try:
            held = self._watch.current() if self._watch.started else await asyncio.to_thread(self._watch.current)
        except Unavailable:
            self._unseen()
        else:
            self._seen(held)
        if self._clock() - self._keys_at > _KEYS_EVERY:
            self._keys_at = self._clock()
            await asyncio.to_thread(self._watch.refetched)
        if self._settings.tls is not None and self._clock() - self._certificate_at > _CERTIFICATE_EVERY:
            self._certificate_at = self._clock()
            self._renew_certificate(self._settings.tls.certificate, self._settings.tls.key)

    def _seen(self, held: Held) -> None:
        if held is self._held:
            return
        assert isinstance(held.ended, frozenset)
        if len(held.ended) > _FAR_TOO_MANY:
            self._log.error(
                "ended.too_many",
                entries=len(held.ended),
                do="look at the worker: by now it should have changed the key that signs",
            )
        # Keys first: a list that lets pass must never stand beside keys of before.
        jwks = self._issuer.jwks(held.keys)
        self._write(
            published.JWT_FILE, published.jwt(self._settings, jwks) if held.keys.by_kid else published.no_keys()
        )
        self._write(published.ENDED_FILE, published.ended(held.ended))
        if self._held is None:
            self._log.info("feed.seen", entries=len(held.ended), keys=len(held.keys.by_kid))
        self._held = held

    def _unseen(self) -> None:
        if self._held is not None or published.ENDED_FILE not in self._published:
            self._log.error("feed.unseen", do="look at the auth server: who is signed in gets 503 until it answers")
        self._held = None
        self._write(published.ENDED_FILE, published.unseen())

    def _renew_certificate(self, chain: Path, key: Path) -> None:
        try:
            content = published.certificate(chain.read_text("ascii"), key.read_text("ascii"))
        except (OSError, ValueError) as error:
            self._log.error("certificate.unreadable", reason=str(error))
            return
        self._write(published.CERTIFICATE_FILE, content)

    def _write(self, name: str, content: Json) -> None:
        """Only what is new: each move makes Envoy build the filter again."""
        if self._published.get(name) == content:
            return
        publish.write(self._settings.config_dir, name, content, self._settings.owner)
        self._published[name] = content
