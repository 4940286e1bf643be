"""Signing keys (design §6): sealed at rest, published before use, kept until the last token of theirs dies.

The next key is always published, long before its time. So it may sign from one moment to the next, when the key that
signs is withdrawn because it leaked or because too much has ended to be listed (flows §7): every reader has it already.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

import msgspec
from joserfc.jwk import ECKey, OKPKey, RSAKey
from msgspec import Struct

from bartizan.auth.ports import Chance, Clock
from bartizan.auth.settings import AuthSettings
from bartizan.model.event import Event
from bartizan.model.keys import REREAD_SECONDS, StoredKey
from bartizan.model.store import Records, Store
from bartizan.protocol import jose
from bartizan.protocol.refusal import Unavailable
from bartizan.protocol.secrets import NONCE_BYTES, KeyRing, Ring, seal, unseal

PURPOSE = "signing"  # of the key ring
REFRESH_SECONDS = REREAD_SECONDS  # a withdrawn key is used no longer than this
_AHEAD_SECONDS = REFRESH_SECONDS / 2  # so old they are read again while the others go on with them: nobody waits
SAME_SECONDS = 30  # as long may one sign the feed that another has followed, if both are published
_JWKS_PATIENCE = 0.2  # seconds: then the keys as they were last read do
GRACE_SECONDS = 60  # beyond the longest token: clocks differ, answers travel

_NEW: dict[str, Callable[[], ECKey | RSAKey | OKPKey]] = {
    "ES256": lambda: ECKey.generate_key("P-256"),
    "RS256": lambda: RSAKey.generate_key(3072),
    "EdDSA": lambda: OKPKey.generate_key("Ed25519"),
}


def generate(algorithm: str, ring: Ring, chance: Chance, *, now: datetime, active_at: datetime) -> StoredKey:
    """A new key, named by its thumbprint (RFC 7638), its private part readable only with the ring."""
    key = _NEW[algorithm]()
    kid = key.thumbprint()
    private = {name: str(value) for name, value in key.as_dict(private=True).items()}
    private |= {"kid": kid, "alg": algorithm, "use": "sig"}
    return StoredKey(
        kid=kid,
        algorithm=algorithm,
        public_jwk=jose.public_part(private),
        sealed=seal(ring, msgspec.json.encode(private), kid.encode(), chance(NONCE_BYTES)),
        created_at=now,
        active_at=active_at,
        retired_at=None,
        removed_at=None,
    )


def signing(keys: list[StoredKey], now: datetime) -> StoredKey | None:
    """The newest that is active. If none is, the one that would be next: this clock is behind another's."""
    living = [key for key in keys if key.retired_at is None]
    ready = [key for key in living if key.active_at <= now]
    if not ready:
        return min(living, key=lambda key: key.active_at, default=None)
    return max(ready, key=lambda key: key.active_at)


def public_set(keys: list[StoredKey]) -> dict[str, list[dict[str, str]]]:
    """RFC 7517 §5: the JWKS, next key and retiring ones included."""
    return {"keys": [key.public_jwk for key in keys]}


class _Held(Struct, frozen=True):
    current: str
    published: tuple[str, ...]
    signer: jose.Signer
    verifying: jose.KeySet
    jwks: bytes


class SigningKeys:
    """The keys as this process holds them: read again four times a second while they are used, and as old as the
    beginning of the statement that read them."""

    def __init__(self, settings: AuthSettings, store: Store, ring: KeyRing, clock: Clock, chance: Chance) -> None:
        self._settings = settings
        self._store = store
        self._ring = ring.purpose(PURPOSE)
        self._clock = clock
        self._chance = chance
        self._held: _Held | None = None
        self._read_at: datetime | None = None
        self._reading = asyncio.Lock()
        self._readings = 0  # begun
        self._failures = 0
        self._renewing: asyncio.Task[None] | None = None

    async def signer(self) -> jose.Signer:
        return (await self._fresh()).signer

    async def verifying(self) -> jose.KeySet:
        return (await self._fresh()).verifying

    async def jwks(self) -> bytes:
        """Also while the database is slow or away: who verifies goes on. That a key was withdrawn says the feed."""
        if self._held is None or self._age() < REFRESH_SECONDS:
            return (await self._fresh()).jwks
        if (renewing := self._renew()) is not None:
            await asyncio.wait({renewing}, timeout=_JWKS_PATIENCE)
        return self._held.jwks

    async def kids(self) -> tuple[str, ...]:
        return (await self._fresh()).published

    async def exact(self) -> tuple[jose.Signer, tuple[str, ...]]:
        """Signer and kids as the database has them at this moment: what the feed says, no reader may hear undone."""
        failures = self._failures
        async with self._reading:
            self._give_up_with(failures)
            held = await self._read()
        return held.signer, held.published

    async def exact_if_not(self, kids: tuple[str, ...]) -> tuple[jose.Signer, tuple[str, ...]]:
        """The same for who has just read which are published: if they are the ones held, these need not be read."""
        held = self._held
        if held is not None and held.published == kids and self._age() < SAME_SECONDS:
            return held.signer, kids
        return await self.exact()

    async def _fresh(self) -> _Held:
        """Call it before a transaction is opened: it may take a connection of its own."""
        age = self._age()
        if self._held is None or age >= REFRESH_SECONDS:
            return await self._in_turn(REFRESH_SECONDS)
        if age >= _AHEAD_SECONDS:
            self._renew()
        return self._held

    def _renew(self) -> asyncio.Task[None] | None:
        """Beside those who go on with what is held. None: that is under way already."""
        if self._renewing is not None and not self._renewing.done():
            return None
        self._renewing = asyncio.create_task(self._look_again())
        return self._renewing

    async def _look_again(self) -> None:
        with suppress(Unavailable):  # who then finds them too old is told
            await self._in_turn(_AHEAD_SECONDS)

    async def _in_turn(self, young: float) -> _Held:
        """Who had to wait takes what is young, or what another has read since, however long that took."""
        failures, readings = self._failures, self._readings
        async with self._reading:
            self._give_up_with(failures)
            if self._held is None or (self._readings == readings and self._age() >= young):
                return await self._read()
            return self._held

    def _give_up_with(self, failures: int) -> None:
        """Who waited while another's reading failed need not wait for a failure of his own."""
        if failures != self._failures:
            raise Unavailable("database")

    def _age(self) -> float:
        """A clock that went back makes them old, not young for long."""
        if self._read_at is None:
            return math.inf
        seconds = (self._clock() - self._read_at).total_seconds()
        return seconds if seconds >= 0 else math.inf

    async def _read(self) -> _Held:
        """Holding `_reading`."""
        self._readings += 1
        read_at = self._clock()
        try:
            async with self._store.reading() as records:
                stored = await records.keys.published()
        except Unavailable:
            self._failures += 1
            raise
        current = signing(stored, self._clock())
        if current is None:
            stored = await ensure(self._settings, self._store, self._ring, self._clock, self._chance)
            current = signing(stored, self._clock())
        if current is None:
            raise Unavailable("the signing key", 1)
        self._held, self._read_at = self._made_ready(stored, current), read_at
        return self._held

    def _made_ready(self, stored: list[StoredKey], current: StoredKey) -> _Held:
        kids = tuple(key.kid for key in stored)
        if self._held is not None and (self._held.current, self._held.published) == (current.kid, kids):
            return self._held
        jwks = public_set(stored)
        signer = _signer(current, self._ring)
        return _Held(current.kid, kids, signer, jose.key_set(jwks), msgspec.json.encode(jwks))


def _signer(key: StoredKey, ring: Ring) -> jose.Signer:
    plain = unseal(ring, key.sealed, key.kid.encode())
    if plain is None:
        raise Unavailable("the signing key: the key ring does not open it", 5)
    return jose.Signer(msgspec.json.decode(plain, type=dict[str, str]), key.kid, key.algorithm)


async def ensure(settings: AuthSettings, store: Store, ring: Ring, clock: Clock, chance: Chance) -> list[StoredKey]:
    """The very first key signs at once: nobody can hold an older set. One process makes it, under the lock."""
    async with store.transaction() as records:
        if not await records.keys.lock_rotation():
            raise Unavailable("the signing key: another process makes it", 1)
        stored = await records.keys.published()
        now = clock()
        if signing(stored, now) is None:
            key = generate(settings.signing_algorithm, ring, chance, now=now, active_at=now)
            await records.keys.add(key)
            stored = [key, *stored]
    return stored


class Plan(Struct, frozen=True):
    """What a rotation does now."""

    add: datetime | None = None  # publish another, which signs from then on
    start: tuple[str, datetime] | None = None  # the one published ahead signs earlier than it was to
    retire: tuple[str, ...] = ()


def plan(
    keys: list[StoredKey], now: datetime, *, rotation_seconds: int, ahead_seconds: int, force: bool = False
) -> Plan:
    """Pure. The next one is always published; it signs when the current one is old, or soon if it is forced, but never
    before all can know it. What an active newer one has replaced retires."""
    current = signing(keys, now)
    if current is None:
        return Plan(add=now)
    replaced = tuple(
        key.kid for key in keys if key.retired_at is None and key.active_at <= now and key.kid != current.kid
    )
    ahead = timedelta(seconds=ahead_seconds)
    due = now if force else current.active_at + timedelta(seconds=rotation_seconds)
    waiting = [key for key in keys if key.retired_at is None and key.active_at > now and key.kid != current.kid]
    if not waiting:
        return Plan(add=max(due, now + ahead), retire=replaced)
    following = min(waiting, key=lambda key: key.active_at)
    due = max(due, following.created_at + ahead)
    earlier = (following.kid, due) if due < following.active_at else None
    return Plan(start=earlier, retire=replaced)


async def rotate(
    settings: AuthSettings, store: Store, key_ring: KeyRing, clock: Clock, chance: Chance, *, force: bool = False
) -> Plan:
    """The job `keys.rotate`, and `bartizan key rotate` (force). Does nothing while another one runs."""
    ring = key_ring.purpose(PURPOSE)
    async with store.transaction() as records:
        if not await records.keys.lock_rotation():
            return Plan()
        now = clock()
        steps = plan(
            await records.keys.published(),
            now,
            rotation_seconds=settings.key_rotation_seconds,
            ahead_seconds=settings.key_publish_ahead_seconds,
            force=force,
        )
        if steps.add is not None:
            await records.keys.add(generate(settings.signing_algorithm, ring, chance, now=now, active_at=steps.add))
        if steps.start is not None:
            kid, at = steps.start
            await records.keys.start(kid, active_at=at)
        for kid in steps.retire:
            await _retire(records, kid, now, settings)
    return steps


async def _retire(records: Records, kid: str, now: datetime, settings: AuthSettings) -> None:
    """It signs no more, and stays published until the last token that it signed has died."""
    last = now + timedelta(seconds=settings.access_token_lifetime + GRACE_SECONDS)
    await records.keys.retire(kid, remove_at=last)
    await records.events.record(Event(code="key.rotated", detail={"retired": kid}))


async def withdraw(
    settings: AuthSettings, store: Store, key_ring: KeyRing, clock: Clock, chance: Chance, kid: str
) -> bool:
    """A key that leaked: gone at once with all it signed; the next one signs. One that is published no longer may still
    prove an old ID token (`Keys.trusted`), and proves nothing after this. False when it is neither."""
    ring = key_ring.purpose(PURPOSE)
    async with store.transaction() as records:
        if not await records.keys.lock_rotation():
            raise Unavailable("the signing keys: another rotation runs", 1)
        stored = await records.keys.published()
        if not any(key.kid == kid for key in await records.keys.trusted()):
            return False
        now = clock()
        await records.keys.remove(kid)
        following = signing([key for key in stored if key.kid != kid], now)
        if following is None:
            await records.keys.add(generate(settings.signing_algorithm, ring, chance, now=now, active_at=now))
        elif following.active_at > now:
            await records.keys.start(following.kid, active_at=now)
        await records.events.record(Event(code="key.withdrawn", detail={"kid": kid}))
    return True
