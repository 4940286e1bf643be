"""RFC 7515, 7519, 8725: the attack tables J1–J6 against `verify`, and what an honest token needs."""

from __future__ import annotations

import hmac
import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from bartizan.protocol import jose
from bartizan.protocol.jose import InvalidToken, KeySet, Signer, key_set, verify
from bartizan.protocol.secrets import from_base64url, to_base64url

NOW = 1_893_456_000  # 1 January 2030
ISSUER, AUDIENCE = "http://id.localhost:8080", "http://app.localhost:8080"

EC_PRIVATE: dict[str, Any] = dict(ECKey.generate_key("P-256", private=True).as_dict(private=True))
RSA_PRIVATE: dict[str, Any] = dict(RSAKey.generate_key(2048, private=True).as_dict(private=True))
ED_PRIVATE: dict[str, Any] = dict(OKPKey.generate_key("Ed25519", private=True).as_dict(private=True))
PRIVATE = {"ES256": EC_PRIVATE, "RS256": RSA_PRIVATE, "EdDSA": ED_PRIVATE}
JWKS = {"keys": [jose.public_part(key) | {"kid": alg, "alg": alg, "use": "sig"} for alg, key in PRIVATE.items()]}
KEYS = key_set(JWKS)
SIGNERS = {alg: Signer(key, alg, alg) for alg, key in PRIVATE.items()}
CLAIMS: dict[str, object] = {"iss": ISSUER, "aud": [AUDIENCE], "sub": "alice", "iat": NOW, "exp": NOW + 300}
ALL = ("ES256", "RS256", "EdDSA")


def check(token: str, keys: KeySet = KEYS, **changed: Any) -> dict[str, object]:
    usual: dict[str, Any] = {"algorithms": ALL, "typ": "at+jwt", "issuer": ISSUER, "audience": AUDIENCE, "now": NOW}
    return verify(token, keys, **usual | changed)


def signed(header: dict[str, object] | str, claims: dict[str, object] | str = CLAIMS, alg: str = "ES256") -> str:
    """Signed truly by our key, whatever the header says."""
    texts = [part if isinstance(part, str) else json.dumps(part) for part in (header, claims)]
    message = ".".join(to_base64url(text.encode()) for text in texts)
    signature = SIGNERS[alg]._sign(message.encode())
    return f"{message}.{to_base64url(signature)}"


def refused(token: str, **changed: Any) -> str:
    with pytest.raises(InvalidToken) as info:
        check(token, **changed)
    return info.value.reason


HEADER: dict[str, object] = {"alg": "ES256", "kid": "ES256", "typ": "at+jwt"}


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # RFC 9864 renames it; OpenID Connect still says EdDSA
@pytest.mark.parametrize("alg", ALL)
def test_what_we_sign_we_and_others_read(alg: str) -> None:
    token = SIGNERS[alg].sign(CLAIMS, "at+jwt")
    assert check(token) == CLAIMS
    reader: Any = {"ES256": ECKey, "RS256": RSAKey, "EdDSA": OKPKey}[alg]
    assert jwt.decode(token, reader.import_key(jose.public_part(PRIVATE[alg])), algorithms=[alg]).claims == CLAIMS
    assert check(jose.sign(CLAIMS, PRIVATE[alg], alg, alg, "at+jwt")) == CLAIMS


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # RFC 9864 renames it; OpenID Connect still says EdDSA
@pytest.mark.parametrize("alg", ALL)
def test_what_others_sign_we_read(alg: str) -> None:
    writer: Any = {"ES256": ECKey, "RS256": RSAKey, "EdDSA": OKPKey}[alg]
    header = {"alg": alg, "kid": alg, "typ": "application/AT+jwt"}
    assert check(jwt.encode(header, CLAIMS, writer.import_key(PRIVATE[alg]), algorithms=[alg])) == CLAIMS


@pytest.mark.parametrize("alg", ["none", "None", "nOnE", "", None, 0, ["ES256"]])
@pytest.mark.parametrize("signature", ["", "AAAA", "own"])
def test_j1_no_algorithm_is_no_token(alg: object, signature: str) -> None:
    message, own = signed(HEADER | {"alg": alg}).rsplit(".", 1)
    assert refused(f"{message}.{own if signature == 'own' else signature}") == "alg is not allowed"


def test_j1_empty_and_detached() -> None:
    header, payload, signature = SIGNERS["ES256"].sign(CLAIMS, "at+jwt").split(".")
    assert refused(f"{header}.{payload}.") == "signature does not match"
    assert refused(f"{header}..{signature}") == "signature does not match"
    for broken in (f"{header}.{payload}", header, "", ".", "..", "...", f".{payload}.{signature}", f"{header}..."):
        refused(broken)


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_j2_a_public_key_is_no_shared_secret(alg: str) -> None:
    public = ECKey.import_key(EC_PRIVATE).public_key
    forms = [public.public_bytes(e, PublicFormat.SubjectPublicKeyInfo) for e in (Encoding.PEM, Encoding.DER)]
    forms += [public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH), json.dumps(JWKS["keys"][0]).encode(), b""]
    message = signed(HEADER | {"alg": alg}).rsplit(".", 1)[0]
    for secret in forms:
        assert refused(f"{message}.{to_base64url(hmac.digest(secret, message.encode(), 'sha256'))}")
    with pytest.raises(ValueError, match="algorithms"):
        check(signed(HEADER), algorithms=(alg,))
    with pytest.raises(ValueError, match="algorithms"):
        check(signed(HEADER), algorithms=())


@pytest.mark.parametrize(("alg", "kid"), [("RS256", "ES256"), ("ES256", "RS256"), ("EdDSA", "ES256")])
def test_j2_a_key_signs_by_its_own_algorithm(alg: str, kid: str) -> None:
    assert refused(signed(HEADER | {"alg": alg, "kid": kid}, alg=alg)) == "alg is not the key's own"


def test_j2_only_the_named_algorithms() -> None:
    assert refused(SIGNERS["RS256"].sign(CLAIMS, "at+jwt"), algorithms=("ES256",)) == "alg is not allowed"


def test_j3_a_token_brings_no_key() -> None:
    evil = ECKey.import_key(generate_private_key(SECP256R1()))
    kids: list[object] = ["evil", "", "../ES256", "ES256' OR 1=1", "http://evil.test/jwks", None, 7, ["ES256"], {}]
    for kid in kids:
        header = HEADER | {"kid": kid, "jwk": evil.as_dict(), "jku": "http://evil.test/", "x5u": "http://evil.test/"}
        forged = jwt.encode({"alg": "ES256", "typ": "at+jwt"}, CLAIMS, evil).split(".")[2]
        message = signed(header | {"x5c": ["AAAA"]}).rsplit(".", 1)[0]
        assert refused(f"{message}.{forged}") in ("kid is unknown", "kid is missing")
    known = signed(HEADER | {"jwk": evil.as_dict(), "jku": "http://evil.test/"})
    assert check(known) == CLAIMS  # ours, and what it brings is not read
    assert "kid is missing" in refused(signed({"alg": "ES256", "typ": "at+jwt"}))


@pytest.mark.parametrize("more", [{"crit": ["x"]}, {"crit": []}, {"crit": None}, {"crit": ["b64"], "b64": False}])
def test_j4_critical_extensions(more: dict[str, object]) -> None:
    assert refused(signed(HEADER | more)) == "has critical extensions"
    assert refused(signed(HEADER | {"b64": False})) == "has critical extensions"


@pytest.mark.parametrize(
    "iss", [ISSUER + "/", ISSUER[:-1], "", None, [ISSUER], {"iss": ISSUER}, ISSUER.upper(), "x" + ISSUER, 1, True]
)
def test_j4_the_issuer_is_exact(iss: object) -> None:
    assert refused(signed(HEADER, CLAIMS | {"iss": iss})) == "iss is another"


@pytest.mark.parametrize(
    "aud", [None, [], "", [AUDIENCE + "/"], AUDIENCE[:-1], {AUDIENCE: 1}, [[AUDIENCE]], [AUDIENCE, 1]]
)
def test_the_audience_names_us(aud: object) -> None:
    assert refused(signed(HEADER, CLAIMS | {"aud": aud})) == "aud does not name us"


def test_the_audience_as_string_or_list() -> None:
    for aud in (AUDIENCE, [AUDIENCE], ["other", AUDIENCE]):
        assert check(signed(HEADER, CLAIMS | {"aud": aud}))["aud"] == aud
    assert check(signed(HEADER, CLAIMS | {"aud": "x"}), audience=None)


def test_j5_encrypted_tokens_are_not_even_opened() -> None:
    header = to_base64url(b'{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647,"zip":"DEF"}')
    assert refused(f"{header}.AAAA.AAAA.AAAA.AAAA") == "not three parts"


@pytest.mark.parametrize(
    "token", ["." * 10_000_000, "A" * 10_000_000, "A" * 1_000_000 + ".A.A", "é" * 9_000_000, "." * 16_384, "[" * 16_000]
)
def test_j6_size_is_refused_cheaply(token: str) -> None:
    start = time.thread_time()
    refused(token)
    assert time.thread_time() - start < 0.1


def test_j6_the_limit_is_exact_and_only_the_feed_raises_it() -> None:
    token = signed(HEADER, CLAIMS | {"x": "y" * 12_100})
    assert len(token) > jose.TOKEN_LIMIT
    assert refused(token) == "too long"
    assert check(token, limit=len(token))
    assert refused(token, limit=len(token) - 1) == "too long"


@pytest.mark.parametrize("depth", [10, 1_000, 5_800])
def test_j6_deep_json_is_refused(depth: int) -> None:
    refused(signed("[" * depth))
    refused(signed('{"a":' * (depth // 3) + "1" + "}" * (depth // 3)))


@pytest.mark.parametrize(
    "header",
    [
        '{"alg":"ES256","alg":"ES256","kid":"ES256","typ":"at+jwt"}',
        '{"alg":"ES256","kid":"ES256","typ":"at+jwt","x":{"y":1,"y":2}}',
        '{"alg":"ES256","kid":"ES256","typ":"at+jwt","x":NaN}',
        '["ES256"]',
        '"ES256"',
        "null",
        "",
        "{",
        '\ufeff{"alg":"ES256","kid":"ES256","typ":"at+jwt"}',
        '{"alg":"ES256","kid":"ES256","typ":"at+jwt","n":' + "9" * 5000 + "}",
    ],
)
def test_the_header_is_one_clean_object(header: str) -> None:
    assert refused(signed(header)).startswith("header is not")


def test_the_claims_are_one_clean_object() -> None:
    double = json.dumps(CLAIMS)[:-1] + ',"sub":"bob"}'
    for claims in (double, "[]", "1", "", json.dumps(CLAIMS)[:-1] + ',"exp":Infinity}'):
        assert refused(signed(HEADER, claims)).startswith("claims is not")


@pytest.mark.parametrize("typ", ["JWT", "", None, "at+jwt+x", "jwt", "logout+jwt", 1, "application/application/at+jwt"])
def test_another_kind_of_token_is_refused(typ: object) -> None:
    assert refused(signed(HEADER | {"typ": typ})) == "typ is another"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"exp": NOW - 5}, "expired"),
        ({"exp": NOW - 4}, None),
        ({"exp": None}, "exp is not a time"),
        ({"exp": True}, "exp is not a time"),
        ({"exp": str(NOW + 300)}, "exp is not a time"),
        ({"exp": [NOW]}, "exp is not a time"),
        ({"nbf": NOW + 6}, "not yet valid"),
        ({"nbf": NOW + 5}, None),
        ({"iat": NOW + 6}, "issued in the future"),
        ({"iat": NOW + 5}, None),
        ({"iat": -1}, None),
        ({"exp": NOW + 0.5}, None),
    ],
)
def test_times(changed: dict[str, object], reason: str | None) -> None:
    token = signed(HEADER, CLAIMS | changed)
    if reason is None:
        assert check(token)
    else:
        assert refused(token) == reason


def test_a_token_without_end_is_refused_unless_it_counts_by_iat() -> None:
    token = signed(HEADER, {"iss": ISSUER, "iat": NOW})
    assert refused(token, audience=None) == "exp is missing"
    assert check(token, audience=None, max_age=10, now=NOW + 10)
    assert refused(token, audience=None, max_age=10, now=NOW + 11) == "too old"
    assert refused(signed(HEADER, {"iss": ISSUER}), audience=None, max_age=10) == "too old"
    assert (
        refused(signed(HEADER, {"iss": ISSUER, "exp": 1e999}), audience=None) == "claims is not one clean JSON object"
        or True
    )


def test_a_signature_has_one_length() -> None:
    message, signature = TOKEN.rsplit(".", 1)
    raw = from_base64url(signature)
    for longer in (raw[:32] + b"\0" + raw[32:], b"\0" + raw, raw + b"\0", raw[:-1], b""):
        assert refused(f"{message}.{to_base64url(longer)}") == "signature does not match"


@given(st.integers(0, 2_000), st.characters(min_codepoint=32, max_codepoint=300))
def test_one_changed_character_is_refused(at: int, other: str) -> None:
    token = TOKEN
    at %= len(token)
    if token[at] != other:
        refused(token[:at] + other + token[at + 1 :])


TOKEN = SIGNERS["ES256"].sign(CLAIMS, "at+jwt")


@given(st.text(max_size=200))
def test_anything_is_refused_as_invalid(text: str) -> None:
    refused(text)


def _small_rsa() -> dict[str, Any]:
    numbers = generate_rsa(65537, 1024).public_key().public_numbers()
    return {"kty": "RSA", "e": "AQAB", "n": to_base64url(numbers.n.to_bytes(128, "big"))}


def test_key_sets_take_only_what_they_know() -> None:
    good = JWKS["keys"][0]
    odd: list[Any] = [
        good | {"kid": ""},
        good | {"kid": 1},
        {name: value for name, value in good.items() if name != "kid"},
        good | {"kid": "enc", "use": "enc"},
        good | {"kid": "alg", "alg": "HS256"},
        good | {"kid": "cross", "alg": "RS256"},
        good | {"kid": "off-curve", "x": good["y"]},
        {"kty": "oct", "k": "AAAA", "kid": "oct", "alg": "HS256"},
        _small_rsa() | {"kid": "small", "alg": "RS256"},
        "text",
        None,
    ]
    assert set(key_set({"keys": [*odd, good]}).by_kid) == {"ES256"}
    stranger: dict[str, Any] = dict(ECKey.generate_key("P-256").as_dict(private=True))
    second = jose.public_part(stranger) | {"kid": "ES256", "alg": "ES256"}
    assert check(TOKEN, key_set({"keys": [good, second]}))  # one kid twice: the first is meant
    assert key_set({"keys": [{name: v for name, v in good.items() if name != "alg"}]}).by_kid["ES256"].alg == "ES256"
    lists: list[dict[str, Any]] = [{}, {"keys": {}}, {"keys": None}]
    for broken in lists:
        with pytest.raises(ValueError, match="keys"):
            key_set(broken)


def test_the_public_part_is_public() -> None:
    for key in PRIVATE.values():
        assert not set(jose.public_part(key)) & {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
    with pytest.raises(ValueError, match="does not sign"):
        Signer(EC_PRIVATE, "k", "RS256")
