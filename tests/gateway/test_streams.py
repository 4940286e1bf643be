"""Flows §3: a WebSocket handshake is a GET with cookies; streams under a token end with the token's life."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
from msgspec.structs import replace
from tests.gateway.conftest import TEMPLATE
from tests.gateway.site import Site, make_site

LIFETIME = 2


@pytest.fixture(scope="module")
def brief() -> Iterator[Site]:
    """A site whose access tokens, and so its streams, live two seconds."""
    made = make_site(
        replace(TEMPLATE, access_token_lifetime=LIFETIME), own=("auth", "inbox", "frontend", "files"), apps=("api",)
    )
    try:
        made.start()
        yield made
    finally:
        made.stop()


def handshake(site: Site, path: str, *lines: str) -> tuple[socket.socket, bytes]:
    connection = socket.create_connection(("127.0.0.1", site.port), 10)
    head = (
        f"GET {path} HTTP/1.1",
        f"Host: {site.host('app')}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *lines,
    )
    connection.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
    return connection, connection.recv(65536)


def status(site: Site, path: str, *lines: str) -> int:
    connection, answer = handshake(site, path, *lines)
    connection.close()
    return int(answer[9:12])


def test_a_websocket_goes_through(site: Site) -> None:
    for path, lines in (
        ("/open/hmr", ()),
        ("/api/ws", (f"Authorization: Bearer {site.keys.token()}",)),
        ("/api/ws", (f"Cookie: {site.cookies(site.cookie_token())[1]}", f"Origin: {site.settings.app_origin}")),
    ):
        connection, answer = handshake(site, path, *lines)
        with connection:
            assert answer.startswith(b"HTTP/1.1 101"), path
            assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer
            connection.sendall(b"hello")
            assert connection.recv(100) == b"hello"


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("Origin: null",),
        ("Origin: http://evil.example",),
        ("Origin: http://evil.example", "Sec-Fetch-Site: same-origin"),
        ("Origin: {id}",),
    ],
)
def test_under_a_cookie_token_only_from_our_very_origin(site: Site, lines: tuple[str, ...]) -> None:
    sent = [line.replace("{id}", site.settings.id_origin) for line in lines]
    assert status(site, "/api/ws", f"Cookie: {site.cookies(site.cookie_token())[1]}", *sent) == 403
    assert status(site, "/api/ws", f"Authorization: Bearer {site.cookie_token()}", *sent) == 403


def test_without_a_token_it_is_401_and_never_renewal(site: Site) -> None:
    refresh = f"Cookie: {site.cookies(refresh=True, csrf=True)[1]}"
    assert status(site, "/api/ws", refresh, "Sec-Fetch-Site: same-origin") == 401


def test_where_the_config_has_none_there_is_none(site: Site) -> None:
    token = f"Authorization: Bearer {site.keys.token()}"
    assert status(site, "/beacon/ws", token) != 101
    assert status(site, "/", token) != 101


def test_a_stream_under_a_token_ends_with_its_life(brief: Site) -> None:
    start = time.monotonic()
    connection, answer = handshake(brief, "/api/ws", f"Authorization: Bearer {brief.keys.token()}")
    with connection:
        assert answer.startswith(b"HTTP/1.1 101")
        assert connection.recv(100) == b""
    assert LIFETIME - 0.5 < time.monotonic() - start < LIFETIME + 3


def test_a_public_stream_lives_on(brief: Site) -> None:
    connection, answer = handshake(brief, "/open/ws")
    with connection:
        assert answer.startswith(b"HTTP/1.1 101")
        until = time.monotonic() + LIFETIME + 0.5
        while time.monotonic() < until:
            connection.sendall(b"x")
            assert connection.recv(10) == b"x"
            time.sleep(0.2)
