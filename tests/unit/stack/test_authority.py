"""`up --https`: an authority that can sign for localhost alone, and a certificate that clients accept."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography import x509

from bartizan.stack import authority
from bartizan.stack.home import Trouble

HOSTS = ("app.localhost", "id.localhost", "files.localhost")


def names(path: Path) -> set[str]:
    leaf = x509.load_pem_x509_certificate(path.read_bytes())
    return set(
        leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    )


def shake_hands(directory: Path, host: str) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(directory / "leaf.pem", directory / "leaf.key")
    client = ssl.create_default_context(cafile=str(directory / "ca.pem"))
    ends = [ssl.MemoryBIO() for _ in range(2)]
    here = client.wrap_bio(ends[0], ends[1], server_hostname=host)
    there = server.wrap_bio(ends[1], ends[0], server_side=True)
    done = [False, False]
    for _ in range(8):
        for at, side in enumerate((here, there)):
            if not done[at]:
                try:
                    side.do_handshake()
                    done[at] = True
                except ssl.SSLWantReadError:
                    pass
    assert all(done)


def test_a_client_that_trusts_it_accepts_its_hosts(tmp_path: Path) -> None:
    directory = tmp_path / "ca"
    authority.make(directory, HOSTS)
    for host in HOSTS:
        shake_hands(directory, host)
    with pytest.raises(ssl.SSLError):
        shake_hands(directory, "example.com")


def test_it_may_sign_below_localhost_only(tmp_path: Path) -> None:
    directory = tmp_path / "ca"
    authority.make(directory, (*HOSTS, "bank.example"))
    with pytest.raises(ssl.SSLError, match="permitted subtree"):
        shake_hands(directory, "bank.example")


def test_it_is_kept_and_a_new_host_gets_a_new_certificate(tmp_path: Path) -> None:
    directory = tmp_path / "ca"
    authority.make(directory, HOSTS)
    first = (directory / "ca.pem").read_bytes(), (directory / "leaf.pem").read_bytes()
    authority.make(directory, HOSTS)
    assert first == ((directory / "ca.pem").read_bytes(), (directory / "leaf.pem").read_bytes())
    authority.make(directory, (*HOSTS, "print.localhost"))
    assert (directory / "ca.pem").read_bytes() == first[0]
    assert "print.localhost" in names(directory / "leaf.pem")


def test_keys_are_0600_and_the_bundle_holds_the_authority(tmp_path: Path) -> None:
    directory = tmp_path / "ca"
    authority.make(directory, HOSTS)
    assert {(directory / name).stat().st_mode & 0o777 for name in ("ca.key", "leaf.key")} == {0o600}
    assert (directory / "bundle.pem").read_bytes().endswith((directory / "ca.pem").read_bytes())
    assert set(authority.environment(directory)) == {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"}


def test_trust_says_how_and_changes_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "ca"
    with pytest.raises(Trouble, match="no local authority yet"):
        authority.how_to_trust(directory)
    authority.make(directory, HOSTS)
    told = authority.how_to_trust(directory)
    assert "update-ca-certificates" in told
    assert f"SSL_CERT_FILE={directory / 'bundle.pem'}" in told, "a guard reads keys over TLS too"
