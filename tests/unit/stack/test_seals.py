"""Whose signature a seal has: of ours, of one that leaked, or of nobody's."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.unit.auth.fake_ports import FakeChance
from tests.unit.auth.house import RING

from bartizan.auth import keys
from bartizan.model.keys import StoredKey
from bartizan.monitoring.jobs import SEAL_TYP, claims
from bartizan.protocol import jose
from bartizan.stack.seals import _Signatures

NOW = datetime(2030, 1, 1, tzinfo=UTC)
DIGEST, OTHER = bytes(32), bytes([1]) * 32


def key() -> StoredKey:
    return keys.generate("ES256", RING.purpose(keys.PURPOSE), FakeChance(), now=NOW, active_at=NOW)


def seal(by: StoredKey, typ: str = SEAL_TYP) -> str:
    signer: jose.Signer = keys._signer(by, RING.purpose(keys.PURPOSE))
    return signer.sign(claims(DIGEST), typ)


def test_a_seal_holds_under_a_key_of_ours_for_its_own_digest_alone() -> None:
    ours, strange = key(), key()
    signatures = _Signatures([ours], [ours])
    assert signatures(DIGEST, seal(ours))
    assert not signatures(OTHER, seal(ours))
    assert not signatures(DIGEST, seal(strange))
    assert not signatures(DIGEST, seal(ours, "at+jwt"))
    assert not signatures(DIGEST, "rubbish")
    assert signatures.leaked == 0


def test_what_a_leaked_key_sealed_is_counted() -> None:
    ours, leaked = key(), key()
    signatures = _Signatures([ours, leaked], [ours])
    assert signatures(DIGEST, seal(leaked))
    assert signatures(DIGEST, seal(ours))
    assert signatures.leaked == 1
