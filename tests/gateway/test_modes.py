"""Design §4: TLS with certificates that change, trusted proxies, memory mode, both families of addresses."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from msgspec.structs import replace
from tests.gateway.conftest import TEMPLATE
from tests.gateway.echo import TcpServer
from tests.gateway.site import Answer, Site, make_site

from bartizan.gateway.agent import Agent
from bartizan.gateway.settings import Access, AppRoute, GatewaySettings, Mode, Tls

NAVIGATE = [("Sec-Fetch-Mode", "navigate"), ("Accept", "text/html")]


@contextmanager
def site_with(template: GatewaySettings) -> Iterator[Site]:
    made = make_site(template, own=("auth", "inbox", "frontend", "files"), apps=("api",))
    try:
        made.start()
        yield made
    finally:
        made.stop()


def make_certificate(directory: Path, serial: int) -> Tls:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "app.localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), serial, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("app.localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    tls = Tls(directory / "cert.pem", directory / "key.pem")
    tls.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    tls.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return tls


def serial_seen(port: int) -> int:
    der = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port)))
    return x509.load_der_x509_certificate(der).serial_number


def test_tls_and_a_certificate_that_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bartizan.gateway.agent._CERTIFICATE_EVERY", 0.1)
    template = replace(TEMPLATE, tls=make_certificate(tmp_path, 1))
    made = make_site(template, own=("auth", "inbox", "frontend", "files"), apps=("api",))
    made.settings = replace(
        made.settings,
        app_origin=made.settings.app_origin.replace("http:", "https:"),
        id_origin=made.settings.id_origin.replace("http:", "https:"),
        auth_address=f"unix:{tmp_path}/none",
    )
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    agent = Agent(made.settings)
    thread = threading.Thread(target=lambda: loop.run_until_complete(agent.run(stop)))
    try:
        made.start()
        assert serial_seen(made.port) == 1
        trusting = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        trusting.check_hostname = False
        connection = HTTPSConnection("127.0.0.1", made.port, context=trusting, timeout=10)
        connection.request("GET", "/open/x", headers={"Host": made.host("app")})
        answer = Answer(connection.getresponse())
        connection.close()
        assert answer.seen_header("x-forwarded-proto") == "https"
        assert answer.header("strict-transport-security") == "max-age=31536000"
        make_certificate(tmp_path, 2)
        thread.start()
        until = time.monotonic() + 3
        while serial_seen(made.port) != 2:
            assert time.monotonic() < until, "the new certificate is not served"
            time.sleep(0.05)
    finally:
        if thread.is_alive():
            loop.call_soon_threadsafe(stop.set)
            thread.join()
        loop.close()
        made.stop()


def test_a_trusted_proxy_says_who_calls_and_nothing_else() -> None:
    with site_with(replace(TEMPLATE, trusted_proxies=("127.0.0.0/8", "2001:db8::/32"))) as site:

        def seen(forwarded: str | None) -> str | None:
            headers = [("X-Forwarded-For", forwarded)] if forwarded else []
            lies = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil"), ("X-Forwarded-User", "root")]
            answer = site.ask("GET", "/open/x", [*headers, *lies, ("X-Request-Id", "mine")])
            assert answer.seen_header("x-forwarded-proto") == "http"
            assert answer.seen_header("x-forwarded-host") == site.host("app")
            assert answer.seen_header("x-forwarded-user") is None
            assert answer.seen_header("x-request-id") != "mine"
            return answer.seen_header("x-forwarded-for")

        assert seen(None) == "127.0.0.1"
        assert seen("203.0.113.9") == "203.0.113.9"
        assert seen("198.51.100.7, 203.0.113.9") == "203.0.113.9"  # what a client claimed before its proxy spoke
        assert seen("203.0.113.9, 127.0.0.5, 2001:db8::1") == "203.0.113.9"
        assert seen("2001:db9:1:2:3::4") == "2001:db9:1:2:3::4"
        until = time.monotonic() + 5
        while len(lines := site.log.read_text().splitlines()) < 5:
            assert time.monotonic() < until
            time.sleep(0.1)
        addresses = [json.loads(line)["address"] for line in lines]
        assert addresses == ["127.0.0.0/24", *["203.0.113.0/24"] * 3, "2001:db9:1::/48"]


def test_limits_count_the_caller_and_not_the_proxy() -> None:
    with site_with(replace(TEMPLATE, trusted_proxies=("127.0.0.1",))) as site:
        for caller in ("203.0.113.9", "203.0.113.10"):
            headers = {"X-Forwarded-For": caller}
            statuses = [site.ask("POST", "/limited", headers, host=site.host("id"), body=b"").status for _ in range(4)]
            assert statuses == [200, 200, 200, 429], caller


def test_memory_mode_never_renews_and_says_why() -> None:
    with site_with(replace(TEMPLATE, mode=Mode.MEMORY)) as site:
        refresh = site.cookies(refresh=True, csrf=True)
        answer = site.ask("GET", "/api/x", [refresh, *NAVIGATE])
        assert answer.status == 401
        assert b"keeps its sign-in inside its own page" in answer.body
        answer = site.ask("GET", "/api/x", [refresh, ("Sec-Fetch-Site", "same-origin")])
        assert (answer.status, answer.header("www-authenticate")) == (401, "Bearer")
        bearer = ("Authorization", f"Bearer {site.keys.token()}")
        assert site.ask("POST", "/api/x", [bearer]).status == 200


def test_the_admin_listens_on_its_socket_alone(site: Site) -> None:
    admin = site.settings.admin_socket
    assert admin.is_socket()
    assert admin.stat().st_mode & 0o777 == 0o600
    listening = (site.proc / "net" / "tcp").read_text().splitlines()[1:]
    inodes = {link.readlink().name for link in (site.proc / "fd").iterdir() if "socket" in str(link.readlink())}
    ports = {
        int(fields[1].split(":")[1], 16)
        for fields in (line.split() for line in listening)
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes
    }
    assert ports == {site.port}


def test_a_second_gateway_cannot_take_the_port(site: Site) -> None:
    other = make_site(TEMPLATE, own=("auth", "inbox", "frontend", "files"), apps=("api",))
    other.settings = replace(other.settings, listen_port=site.port)
    try:
        other.start(listening=False)
        assert other.process is not None
        assert other.process.wait(10) != 0
        assert "Address already in use" in (other.directory / "envoy.log").read_text()
    finally:
        other.stop()


def test_plain_http_is_still_http(site: Site) -> None:
    connection = HTTPConnection("127.0.0.1", site.port, timeout=10)
    connection.request("GET", "/open/x", headers={"Host": site.host("app")})
    assert Answer(connection.getresponse()).header("strict-transport-security") is None
    connection.close()


def test_an_app_that_listens_on_ipv6_loopback_alone_is_reached() -> None:
    """Node binds `localhost` to ::1 alone on some machines."""
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        server = TcpServer("v6", "::1")
    except OSError:
        pytest.skip("no IPv6 loopback here")
    route = AppRoute(path="/", to=f"http://localhost:{server.port}", access=Access.PUBLIC)
    with site_with(replace(TEMPLATE, app_routes=(route,))) as site:
        site.servers["v6"] = server
        assert site.ask("GET", "/x").seen["server"] == "v6"
