"""Flows §7: the issuer's keys and the list of what was ended, as this process last saw them.

One thread a process reads the feed, a long poll of at most 2 s. It starts at the first request, not at import: a thread
from before a fork is dead in the workers. The first request fetches in line, within a second. A feed that was not
confirmed for 10 s means 503: nothing fails open.

The feed names the published keys. One that has left it is dropped in that moment and not taken back, whatever a JWKS
says that lay in a cache or came from another node; one that is new is fetched at once, however lately a stranger's
unknown `kid` had them fetched. So a key that leaked, or whose tokens ended by the thousand, is gone within two seconds.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Container
from threading import Event, Lock, Thread

from bartizan.guard.fetch import ANSWER_LIMIT, Fetcher
from bartizan.guard.gate import Held
from bartizan.model.ended import LONGEST_LISTED, MOST_LISTED
from bartizan.protocol import jose
from bartizan.protocol.jose import InvalidToken, KeySet, UnknownKey
from bartizan.protocol.refusal import Unavailable
from bartizan.protocol.web import origins

UNSEEN = 10  # seconds without a confirmed feed, then 503
_FIRST = 1.0  # seconds that a request waits for the first fetch
_POLL = 4.0  # seconds: the long poll's 2 and some for the way
_PAUSE = 0.5  # after a failure
_BREATH = 0.25  # between polls that are answered at once
_KEYS_EVERY = 300.0  # a key is published well before it signs
_KEYS_AGAIN = 5.0  # at most this often for a request's unknown kid: anybody can send one
_ALL_EVERY = 600.0  # the whole list again, so that what has left it leaves us
_MANY, _MANY_EVERY = 500, 120.0  # or this, while so many are held that those which have left it cost a megabyte
_SHRINK_EVERY = 30.0  # or this, while more is held than can be listed at a time
_FORGOTTEN_AFTER = 10.0  # after a key has gone, the list goes that only its tokens needed

FEED_PATH = "/.well-known/bartizan/ended"
Fetch = Callable[[str, float], bytes]  # (path with query, seconds) → body of a 200, else OSError

_log = logging.getLogger("bartizan.guard")


class Watch:
    """`address`: where the issuer is dialled when not under its own name (`unix:/…/auth.sock`)."""

    def __init__(
        self,
        issuer: str,
        *,
        address: str = "",
        jwks_path: str = "/jwks",
        fetch: Fetch | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.issuer = str(origins.parse(issuer))
        self._jwks_path = jwks_path
        self._fetch = fetch if fetch is not None else Fetcher(self.issuer, address)
        self._clock = clock
        self._monotonic = monotonic
        self._lock = Lock()
        self._fetching_keys = Lock()
        self._swapping = Lock()  # keys may be fetched by a request while the thread reads the feed
        self._stop = Event()
        self._process = 0  # the process id whose thread runs
        self._reset()

    def _reset(self) -> None:
        self._held = Held(KeySet({}), frozenset())
        self._published: frozenset[str] = frozenset()
        self._fetched = self._held.keys  # as the JWKS had them
        self._named: frozenset[str] | None = None  # what the feed last said is published
        self._cursor = 0
        self._seen = 0.0  # `iat` of the last confirmed feed
        self._keys_at = float("-inf")  # when they were read
        self._keys_tried = float("-inf")
        self._wanted, self._wanted_wait, self._wanted_after = "", 0.0, 0.0  # what the feed last had us fetch keys for
        self._all_at = float("-inf")
        self._keep_until = float("-inf")  # nothing is forgotten before

    @property
    def started(self) -> bool:
        """False: the next `current` will wait for the network. An event loop then asks from a thread."""
        return self._process == os.getpid()

    def current(self) -> Held:
        if self._process != os.getpid():
            self._start()
        if self._clock() - self._seen > UNSEEN:
            raise Unavailable("the list of ended sessions")
        return self._held

    def refetched(self) -> Held | None:
        """For an unknown `kid`. One at a time and not often; who comes meanwhile is refused, not made to wait."""
        if self._monotonic() - self._keys_tried < _KEYS_AGAIN or not self._fetching_keys.acquire(blocking=False):
            return None
        try:
            self._read_keys(_FIRST)
        except (OSError, ValueError) as error:
            _log.warning("the keys of %s cannot be read: %s", self.issuer, error)
            return None
        finally:
            self._fetching_keys.release()
        return self._held

    def stop(self) -> None:
        """Ends the thread after its running poll. For tests and orderly ends; it is a daemon anyway."""
        self._stop.set()

    def _start(self) -> None:
        with self._lock:
            if self._process == os.getpid():
                return
            # Locks and sockets from before a fork belong to the parent.
            self._stop, self._fetching_keys, self._swapping = Event(), Lock(), Lock()
            self._reset()
            deadline = self._monotonic() + _FIRST
            try:
                self._read_keys(_FIRST)
                self._read_feed(max(0.1, deadline - self._monotonic()))
            except (OSError, ValueError, InvalidToken) as error:
                _log.warning("%s is not seen: %s", self.issuer, error)
            Thread(target=self._run, args=(self._stop,), name="bartizan-ended", daemon=True).start()
            self._process = os.getpid()

    def _run(self, stop: Event) -> None:
        while not stop.is_set():
            began = self._monotonic()
            try:
                self.poll()
                stop.wait(max(0.0, _BREATH - (self._monotonic() - began)))
            except Exception as error:  # whatever it was: a dead thread would mean 503 until a restart
                expected = isinstance(error, OSError | ValueError | InvalidToken)
                _log.warning("%s is not seen: %s", self.issuer, error, exc_info=not expected)
                stop.wait(_PAUSE)

    def poll(self) -> None:
        """One round: the keys when they are due, then what was ended since."""
        if self._monotonic() - self._keys_at > _KEYS_EVERY:
            self._read_keys_in_turn(_POLL)
        self._read_feed(_POLL)

    def _read_keys_in_turn(self, timeout: float) -> None:
        """After a request that fetches them now: an older answer must not come in last."""
        with self._fetching_keys:
            self._read_keys(timeout)

    def _may_ask(self, what: str) -> bool:
        """At once for what is new, then less and less often: an issuer that never publishes it is not pressed."""
        now = self._monotonic()
        if what == self._wanted and now < self._wanted_after:
            return False
        self._wanted_wait = min(2 * self._wanted_wait, _KEYS_AGAIN) if what == self._wanted else _BREATH
        self._wanted, self._wanted_after = what, now + self._wanted_wait
        return True

    def _read_keys(self, timeout: float) -> None:
        self._keys_tried = self._monotonic()
        document = json.loads(self._fetch(self._jwks_path, timeout))
        keys = jose.key_set(document if isinstance(document, dict) else {})
        self._keys_at, self._fetched = self._monotonic(), keys
        members = document["keys"]
        self._published = frozenset(str(member.get("kid")) for member in members if isinstance(member, dict))
        with self._swapping:
            self._hold(self._held.ended)

    def _read_feed(self, timeout: float) -> None:
        started = self._monotonic()
        known = self._held.ended
        assert isinstance(known, frozenset)
        whole = started - self._all_at > _whole_every(len(known))
        after = 0 if whole else self._cursor
        body = self._fetch(f"{FEED_PATH}?after={after}", timeout).decode("ascii", "replace").strip()
        try:
            claims = self._verified(body, self._held.keys)
        except UnknownKey as unknown:  # signed by a key that we have not seen published
            if not self._may_ask(unknown.kid):
                raise
            self._read_keys_in_turn(timeout)
            claims = self._verified(body, self._fetched)
        gids, cursor, iat, kids = (claims.get(name) for name in ("gids", "cursor", "iat", "kids"))
        if not isinstance(gids, list) or not isinstance(cursor, int) or not isinstance(iat, int | float):
            raise InvalidToken("the feed has no gids or no cursor")
        ended = frozenset(gid for gid in gids if isinstance(gid, str))
        if cursor < self._cursor:  # the database went back, perhaps behind what it told us
            self._keep_until = started + LONGEST_LISTED
        if not whole or (started < self._keep_until and len(known) <= MOST_LISTED):
            ended = known | ended if ended - known else known
        if cursor < after:  # what it lists by its clock of now, we may have asked past: all of it again
            self._all_at = float("-inf")
        elif whole:
            self._all_at = started
        named = frozenset(str(kid) for kid in kids) if isinstance(kids, list) else None
        with self._swapping:  # both at one stroke: the list forgets what a withdrawn key refuses
            if self._named is not None and named is not None and self._named - named:
                # Soon the list forgets what that key alone could open, and so do we.
                self._all_at = min(self._all_at, started - _ALL_EVERY + _FORGOTTEN_AFTER)
            self._named = named
            self._hold(ended)
        self._cursor = cursor
        self._seen = min(float(iat), self._clock())
        if named is not None and named != self._published and self._may_ask(" ".join(sorted(named))):
            self._read_keys_in_turn(timeout)

    def _verified(self, feed: str, keys: KeySet) -> jose.Claims:
        return jose.verify(
            feed,
            keys,
            algorithms=tuple(jose.ALGORITHMS),
            typ="ended+jwt",
            issuer=self.issuer,
            audience=None,
            now=int(self._clock()),
            max_age=UNSEEN,
            limit=ANSWER_LIMIT,
        )

    def _hold(self, ended: Container[str]) -> None:
        """While swapping. Of all keys that were seen those which the feed names; the same keep the cache of tokens."""
        held, keys = self._held, self._fetched.by_kid
        if self._named is not None:
            keys = {kid: key for kid, key in {**keys, **held.keys.by_kid}.items() if kid in self._named}
        same = keys.keys() == held.keys.by_kid.keys()
        if not same or (ended is not held.ended and ended != held.ended):
            self._held = Held(held.keys if same else KeySet(keys), ended)


def _whole_every(held: int) -> float:
    """Seconds between two readings of the whole list. A part of it never says what has left it."""
    if held > MOST_LISTED:
        return _SHRINK_EVERY
    return _MANY_EVERY if held > _MANY else _ALL_EVERY
