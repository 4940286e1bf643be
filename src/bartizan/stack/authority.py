"""Flows §12, design §4: `up --https` has a certificate authority of its own, trusted only where somebody says so.

The authority's key stays in the data directory (0600) and may sign names below `localhost` alone (name constraints),
so that even a stolen one cannot stand in for a real site.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bartizan.stack.home import Trouble, write

_CA_DAYS = 825
_LEAF_DAYS = 90
_RENEW_BEFORE = timedelta(days=30)
_SYSTEM_ROOTS = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


def make(directory: Path, hosts: tuple[str, ...]) -> None:
    """Authority, certificate for `hosts`, and the bundle that our own processes trust. Idempotent."""
    directory.mkdir(mode=0o700, exist_ok=True)
    now = datetime.now(UTC)
    authority = _read(directory / "ca.pem")
    if authority is None or authority.not_valid_after_utc - now < _RENEW_BEFORE:
        _make_authority(directory, now)
        authority = _read(directory / "ca.pem")
        assert authority is not None
    leaf = _read(directory / "leaf.pem")
    if leaf is None or leaf.issuer != authority.subject or not _covers(leaf, hosts, now):
        _make_leaf(directory, authority, hosts, now)
    write(directory / "bundle.pem", _roots() + (directory / "ca.pem").read_bytes())


def environment(directory: Path) -> dict[str, str]:
    """How OpenSSL and requests come to trust it."""
    bundle = str(directory / "bundle.pem")
    return {"SSL_CERT_FILE": bundle, "REQUESTS_CA_BUNDLE": bundle}


def how_to_trust(directory: Path) -> str:
    """What `bartizan trust` prints: it changes nothing itself."""
    certificate = directory / "ca.pem"
    found = _read(certificate)
    if found is None:
        raise Trouble("There is no local authority yet. Start once with: bartizan up --demo --https")
    print_of = found.fingerprint(hashes.SHA256()).hex(":")
    return (
        f"The authority is {certificate}\n"
        f"SHA-256 {print_of}\n"
        "It can sign names below localhost only.\n\n"
        f"Debian, Ubuntu   sudo cp {certificate} /usr/local/share/ca-certificates/bartizan.crt\n"
        "                 sudo update-ca-certificates\n"
        f"Fedora           sudo trust anchor {certificate}\n"
        f"macOS            security add-trusted-cert -k ~/Library/Keychains/login.keychain-db {certificate}\n"
        "Firefox          Settings, Privacy & Security, View Certificates, Authorities, Import\n"
        f'Chromium, Linux  certutil -d sql:$HOME/.pki/nssdb -A -t "C,," -n bartizan -i {certificate}\n'
        f"Your app's guard start the app with SSL_CERT_FILE={directory / 'bundle.pem'}\n"
    )


def _make_authority(directory: Path, now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Bartizan local authority {os.urandom(4).hex()}")])
    only = x509.NameConstraints([x509.DNSName("localhost")], None)
    builder = _builder(name, name, key.public_key(), now, _CA_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(only, critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    _keep(directory / "ca.key", key)
    write(directory / "ca.pem", builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


def _make_leaf(directory: Path, authority: x509.Certificate, hosts: tuple[str, ...], now: datetime) -> None:
    signer = serialization.load_pem_private_key((directory / "ca.key").read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
    builder = _builder(name, authority.subject, key.public_key(), now, _LEAF_DAYS)
    builder = builder.add_extension(names, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    parent = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = builder.add_extension(parent, critical=False)
    _keep(directory / "leaf.key", key)
    certificate = builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    write(directory / "leaf.pem", certificate)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _keep(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    write(path, key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))


def _read(path: Path) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return None


def _covers(leaf: x509.Certificate, hosts: tuple[str, ...], now: datetime) -> bool:
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    covered = set(names.get_values_for_type(x509.DNSName))
    return set(hosts) <= covered and leaf.not_valid_after_utc - now > _RENEW_BEFORE


def _roots() -> bytes:
    for path in _SYSTEM_ROOTS:
        try:
            return Path(path).read_bytes()
        except OSError:
            continue
    return b""
