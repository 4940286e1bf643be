"""RFC 6761 §6.3, flows §12: `*.localhost` is this machine. glibc does not resolve it, so we do, in this one room.

`connection` is what the guard itself uses; `install()` is for programs whose HTTP library is not ours (the print shop).
"""

from __future__ import annotations

import socket
import ssl
from http.client import HTTPConnection, HTTPSConnection
from typing import Any

_V4, _V6 = "127.0.0.1", "::1"


def is_local(host: str) -> bool:
    name = host.lower().rstrip(".")
    return name == "localhost" or name.endswith(".localhost")


def resolve(host: str) -> str:
    """The loopback address for `*.localhost`; any other name unchanged."""
    return _V4 if is_local(host) else host


class _Plain(HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.create_connection((resolve(self.host), self.port), self.timeout)


class _Tls(HTTPSConnection):
    def connect(self) -> None:
        plain = socket.create_connection((resolve(self.host), self.port), self.timeout)
        # The name is still the name: certificate and SNI are those of the host that was asked for.
        self.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=self.host)


class _Unix(HTTPConnection):
    def __init__(self, host: str, port: int | None, path: str, timeout: float) -> None:
        super().__init__(host, port, timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def connection(scheme: str, host: str, port: int | None, *, timeout: float, address: str = "") -> HTTPConnection:
    """A connection that speaks to `host`; `address` (`unix:/path`) says where it is dialled instead."""
    if address.startswith("unix:"):
        return _Unix(host, port, address.removeprefix("unix:"), timeout)
    return (_Tls if scheme == "https" else _Plain)(host, port, timeout=timeout)


_system_getaddrinfo = socket.getaddrinfo


def _getaddrinfo(host: Any, port: Any, family: int = 0, *more: Any, **named: Any) -> Any:
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if isinstance(name, str) and is_local(name):
        host = _V6 if family == socket.AF_INET6 else _V4
    return _system_getaddrinfo(host, port, family, *more, **named)


def install() -> None:
    """Teaches this whole process, every library in it, that `*.localhost` is loopback. Idempotent."""
    socket.getaddrinfo = _getaddrinfo
