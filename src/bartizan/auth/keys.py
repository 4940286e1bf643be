"""Signing keys (design §6): sealed at rest, published before use, kept until the last token of theirs dies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
from joserfc.jwk import ECKey, OKPKey, RSAKey
from msgspec import Struct

from bartizan.auth.ports import Chance, Clock
from bartizan.auth.settings import AuthSettings
from bartizan.model.event import Event
from bartizan.model.keys import StoredKey
from bartizan.model.store import Records, Store
from bartizan.protocol import jose
from bartizan.protocol.refusal import Unavailable
from bartizan.protocol.secrets import NONCE_BYTES, KeyRing, Ring, seal, unseal

PURPOSE = "signing"  # of the key ring
REFRESH_SECONDS = 1.0  # a withdrawn key is used no longer than this (F§7: two seconds everywhere)
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
    """The newest that is active."""
    ready = [key for key in keys if key.active_at <= now and key.retired_at is None]
    return max(ready, key=lambda key: key.active_at, default=None)


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
    """The keys as this process holds them: read again once a second while they are used."""

    def __init__(self, settings: AuthSettings, store: Store, ring: KeyRing, clock: Clock, chance: Chance) -> None:
        self._settings = settings
        self._store = store
        self._ring = ring.purpose(PURPOSE)
        self._clock = clock
        self._chance = chance
        self._held: _Held | None = None
        self._read_at: datetime | None = None
        self._reading = asyncio.Lock()

    async def signer(self) -> jose.Signer:
        return (await self._fresh()).signer

    async def verifying(self) -> jose.KeySet:
        return (await self._fresh()).verifying

    async def jwks(self) -> bytes:
        return (await self._fresh()).jwks

    async def kids(self) -> tuple[str, ...]:
        """What is published now; the feed says it, so that a withdrawn key is known of as fast as an ended session."""
        return (await self._fresh()).published

    async def _fresh(self) -> _Held:
        """Call it before a transaction is opened: it may take a connection of its own."""
        if self._held is not None and self._is_fresh():
            return self._held
        async with self._reading:
            if self._held is None or not self._is_fresh():
                self._held = await self._read()
                self._read_at = self._clock()
        return self._held

    def _is_fresh(self) -> bool:
        """A clock that went back makes them old, not young for long."""
        return self._read_at is not None and 0 <= (self._clock() - self._read_at).total_seconds() < REFRESH_SECONDS

    async def _read(self) -> _Held:
        async with self._store.reading() as records:
            stored = await records.keys.published()
        current = signing(stored, self._clock())
        if current is None:
            stored = await ensure(self._settings, self._store, self._ring, self._clock, self._chance)
            current = signing(stored, self._clock())
        if current is None:
            raise Unavailable("the signing key", 1)
        return self._made_ready(stored, current)

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

    add: bool = False
    retire: tuple[str, ...] = ()


def plan(keys: list[StoredKey], now: datetime, *, rotation_seconds: int, force: bool = False) -> Plan:
    """Pure. Publish the next when the current is old; retire what an active newer one has replaced."""
    current = signing(keys, now)
    if current is None:
        return Plan(add=not any(key.active_at > now for key in keys))
    replaced = tuple(
        key.kid for key in keys if key.retired_at is None and key.active_at <= now and key.kid != current.kid
    )
    waiting = any(key.active_at > now for key in keys)
    old = (now - current.active_at).total_seconds() >= rotation_seconds
    return Plan(add=(old or force) and not waiting, retire=replaced)


async def rotate(
    settings: AuthSettings, store: Store, key_ring: KeyRing, clock: Clock, chance: Chance, *, force: bool = False
) -> Plan:
    """The job `keys.rotate`, and `bartizan key rotate` (force). Does nothing while another one runs."""
    ring = key_ring.purpose(PURPOSE)
    async with store.transaction() as records:
        if not await records.keys.lock_rotation():
            return Plan()
        now = clock()
        stored = await records.keys.published()
        steps = plan(stored, now, rotation_seconds=settings.key_rotation_seconds, force=force)
        if steps.add:
            ahead = 0 if signing(stored, now) is None else settings.key_publish_ahead_seconds
            active_at = now + timedelta(seconds=ahead)
            await records.keys.add(generate(settings.signing_algorithm, ring, chance, now=now, active_at=active_at))
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
    """A key that leaked: gone at once with all it signed; a new one signs. False when it is not published."""
    ring = key_ring.purpose(PURPOSE)
    async with store.transaction() as records:
        if not await records.keys.lock_rotation():
            raise Unavailable("the signing keys: another rotation runs", 1)
        stored = await records.keys.published()
        if not any(key.kid == kid for key in stored):
            return False
        now = clock()
        await records.keys.remove(kid)
        if signing([key for key in stored if key.kid != kid], now) is None:
            await records.keys.add(generate(settings.signing_algorithm, ring, chance, now=now, active_at=now))
        await records.events.record(Event(code="key.withdrawn", detail={"kid": kid}))
    return True
