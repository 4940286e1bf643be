"""Design §6: what is sealed, authenticated and derived by the key ring."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.protocol import secrets
from bartizan.protocol.secrets import KeyRing

OLD, NEW = ("old00000", b"\x01" * 32), ("new00000", b"\x02" * 32)
RING = KeyRing((NEW, OLD))
PAGES = RING.purpose("pages")
NONCE = b"n" * 12


def test_sealed_comes_back_in_its_own_context_and_nowhere_else() -> None:
    sealed = secrets.seal(PAGES, b"plain", b"alice", NONCE)
    assert secrets.unseal(PAGES, sealed, b"alice") == b"plain"
    assert secrets.unseal(PAGES, sealed, b"bob") is None
    assert secrets.unseal(RING.purpose("files"), sealed, b"alice") is None
    assert secrets.unseal(KeyRing((OLD,)).purpose("pages"), sealed, b"alice") is None


def test_an_older_key_still_opens() -> None:
    sealed = secrets.seal(KeyRing((OLD,)).purpose("pages"), b"plain", b"", NONCE)
    assert secrets.unseal(PAGES, sealed, b"") == b"plain"


@given(st.binary(max_size=80))
def test_unseal_of_anything_is_none(sealed: bytes) -> None:
    assert secrets.unseal(PAGES, sealed, b"") is None


@given(st.binary(max_size=40), st.integers(0, 400))
def test_a_flipped_bit_is_not_ours(plain: bytes, at: int) -> None:
    sealed = bytearray(secrets.seal(PAGES, plain, b"c", NONCE))
    at %= len(sealed) * 8
    sealed[at // 8] ^= 1 << at % 8
    assert secrets.unseal(PAGES, bytes(sealed), b"c") is None


def test_mac_tells_lists_of_parts_apart() -> None:
    assert secrets.mac(b"k", b"ab", b"c") != secrets.mac(b"k", b"a", b"bc") != secrets.mac(b"k", b"abc")


def test_purposes_have_keys_of_their_own() -> None:
    assert len({RING.purpose(name).newest[1] for name in ("refresh", "bff", "link", "pages")} | {NEW[1]}) == 5
    assert PAGES.newest[0] == "new00000"
    assert PAGES.by_id("old00000") != PAGES.by_id("new00000")
    assert PAGES.by_id("gone0000") is None


def test_the_key_file_is_read_back() -> None:
    text = secrets.new_ring_line(*NEW) + "# the one before\n\n" + secrets.new_ring_line(*OLD)
    assert secrets.parse_ring(text) == RING


@pytest.mark.parametrize(
    "text", ["", "one", "new00000 !!!!", "new00000 AAAA", "UPPER000 " + "A" * 43, secrets.new_ring_line(*NEW) * 2]
)
def test_a_broken_key_file_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"key ring|key|ring"):
        secrets.parse_ring(text)


def test_uuid7_sorts_by_time_and_names_its_version() -> None:
    first, second = secrets.uuid7(1000, b"\xff" * 10), secrets.uuid7(1001, b"\x00" * 10)
    assert first < second
    assert {first.version, second.version} == {7}
    assert first.variant == second.variant == "specified in RFC 4122"


def test_derived_and_new_secrets() -> None:
    ring = RING.purpose("client")
    assert secrets.client_secret(ring, "spa") == secrets.client_secret(ring, "spa") != secrets.client_secret(ring, "b")
    assert secrets.new_secret("bzx_", b"\x00" * 32) == "bzx_" + "A" * 43
    assert len(secrets.fingerprint("bzx_")) == 32


@given(st.binary(max_size=50))
def test_base64url_has_one_spelling(data: bytes) -> None:
    assert secrets.from_base64url(secrets.to_base64url(data)) == data


@pytest.mark.parametrize("text", ["A", "AB==", "AB", "A A", "A+/A", "é", "AAA\n"])
def test_other_spellings_of_base64url_are_refused(text: str) -> None:
    if text == "AB":  # stray bits in the last character
        assert secrets.to_base64url(b"\x00") == "AA"
    with pytest.raises(ValueError, match="base64url"):
        secrets.from_base64url(text)


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=16))
def test_a_uuid7_as_text_is_what_python_writes(now_ms: int, random: bytes) -> None:
    assert secrets.uuid7_text(now_ms, random) == str(secrets.uuid7(now_ms, random))
