"""Design §6, flows §6: opaque secrets, and the symmetric keys that seal, authenticate and derive.

One ring of 32-byte keys comes from a file or the environment. Nobody uses these keys themselves: each purpose gets
its own by HKDF, so that what one room seals or authenticates means nothing in another. The newest key writes, all read.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64decode
from binascii import Error as NotBase64
from binascii import b2a_base64
from hashlib import sha256
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Struct

KEY_BYTES = 32
NONCE_BYTES = 12
# Eight bytes exactly, because a refresh token carries the id of its MAC key in eight bytes (flows §6).
_KEY_ID = re.compile(r"[0-9a-z]{8}", re.ASCII)
_URLSAFE = bytes.maketrans(b"+/", b"-_")


class Ring(Struct, frozen=True):
    """The keys of one purpose, newest first."""

    all: tuple[tuple[str, bytes], ...]

    @property
    def newest(self) -> tuple[str, bytes]:
        return self.all[0]

    def by_id(self, key_id: str) -> bytes | None:
        for known, key in self.all:
            if known == key_id:
                return key
        return None


class KeyRing(Struct, frozen=True):
    """The root keys as (id, 32 bytes), newest first. Ids are eight of `0-9a-z`."""

    keys: tuple[tuple[str, bytes], ...]

    def __post_init__(self) -> None:
        if not self.keys:
            raise ValueError("a key ring needs at least one key")
        if len({key_id for key_id, _ in self.keys}) != len(self.keys):
            raise ValueError("two keys of the ring have one id")
        for key_id, key in self.keys:
            if not _KEY_ID.fullmatch(key_id):
                raise ValueError(f"key id {key_id!r} is not eight characters of 0-9 and a-z")
            if len(key) != KEY_BYTES:
                raise ValueError(f"key {key_id} has {len(key)} bytes where {KEY_BYTES} are needed")

    def purpose(self, name: str) -> Ring:
        """The keys of one purpose. Derive once and keep it: it costs some microseconds a key."""
        return Ring(tuple((key_id, _derive(key, name)) for key_id, key in self.keys))


def _derive(key: bytes, name: str) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=b"bartizan/1/" + name.encode()).derive(key)


def mac(key: bytes, *parts: bytes) -> bytes:
    """HMAC-SHA-256 over the parts, each with its length before it, so that no two lists of parts look alike."""
    message = b"".join([len(part).to_bytes(4, "big") + part for part in parts])
    return hmac.digest(key, message, "sha256")


def seal(ring: Ring, plain: bytes, context: bytes, nonce: bytes) -> bytes:
    """AES-256-GCM under the newest key. `context` (whose? for what?) must be the same when it is opened."""
    if len(nonce) != NONCE_BYTES:
        raise ValueError(f"the nonce must have {NONCE_BYTES} random bytes")
    key_id, key = ring.newest
    return key_id.encode() + nonce + AESGCM(key).encrypt(nonce, plain, context)


def unseal(ring: Ring, sealed: bytes, context: bytes) -> bytes | None:
    """What was sealed, or None when it is not ours, was changed, or belongs to another context."""
    key_id, nonce, body = sealed[:8], sealed[8 : 8 + NONCE_BYTES], sealed[8 + NONCE_BYTES :]
    key = ring.by_id(key_id.decode("ascii", "replace"))
    if key is None or len(nonce) != NONCE_BYTES:
        return None
    try:
        return AESGCM(key).decrypt(nonce, body, context)
    except InvalidTag:
        return None


def new_secret(prefix: str, random: bytes) -> str:
    """An opaque secret: a prefix that scanners of leaked code know, then 256 random bits."""
    if len(random) != KEY_BYTES:
        raise ValueError(f"a secret needs {KEY_BYTES} random bytes")
    return prefix + to_base64url(random)


def fingerprint(secret: str) -> bytes:
    """What a row keeps of an opaque secret. A plain hash does, as 256 random bits cannot be guessed."""
    return sha256(secret.encode()).digest()


def uuid7(now_ms: int, random: bytes) -> UUID:
    """RFC 9562 §5.7: milliseconds, then 74 random bits; `random` has 10 bytes or more."""
    return UUID(int=_uuid7(now_ms, random))


def uuid7_text(now_ms: int, random: bytes) -> str:
    """The same as a text, for who needs no more: half the time."""
    digits = f"{_uuid7(now_ms, random):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _uuid7(now_ms: int, random: bytes) -> int:
    if len(random) < 10:
        raise ValueError("a UUIDv7 needs 10 random bytes")
    value = (now_ms & (1 << 48) - 1) << 80 | int.from_bytes(random[:10], "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    return value & ~(0x3 << 62) | 0x2 << 62


def client_secret(ring: Ring, client_id: str) -> str:
    """The BFF's own secret (ring purpose "client"): auth and frontend both derive it, so none is at rest."""
    return new_secret("bzs_", mac(ring.newest[1], b"client secret", client_id.encode()))


def parse_ring(text: str) -> KeyRing:
    """The file of keys: `id base64url` a line, newest first; blank lines and `#` comments are skipped."""
    keys: list[tuple[str, bytes]] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2:
            raise ValueError(f"line {number} of the key ring is not `id base64url`")
        try:
            keys.append((words[0], from_base64url(words[1])))
        except ValueError:
            raise ValueError(f"line {number} of the key ring holds no base64url") from None
    return KeyRing(tuple(keys))


def new_ring_line(key_id: str, random: bytes) -> str:
    """One line of the key file."""
    (key_id, key), *_ = KeyRing(((key_id, random),)).keys
    return f"{key_id} {to_base64url(key)}\n"


def to_base64url(data: bytes) -> str:
    """RFC 7515 §2: base64url without padding."""
    return b2a_base64(data, newline=False).translate(_URLSAFE).rstrip(b"=").decode("ascii")


def from_base64url(text: str) -> bytes:
    """Strict: no padding, no foreign characters, no stray bits, so that one value has one spelling. Else ValueError."""
    try:
        data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (NotBase64, ValueError):
        raise ValueError("not base64url") from None
    if to_base64url(data) != text:
        raise ValueError("not base64url in its one spelling")
    return data
