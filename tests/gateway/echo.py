"""Small servers behind the gateway: they answer with what reached them, as JSON, or turn into an echo of bytes."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha1
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

_WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3


class Handler(BaseHTTPRequestHandler):
    """`?status=`, `?location=` and `?cors=` choose the answer."""

    protocol_version = "HTTP/1.1"
    server: Server | TcpServer

    def do_GET(self) -> None:
        if self.headers.get("upgrade", "").lower() == "websocket":
            self._echo_bytes()
            return
        self._answer()

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):  # the other methods
            return self._answer
        raise AttributeError(name)

    def _answer(self) -> None:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        seen = {
            "server": self.server.name,
            "method": self.command,
            "path": self.path,
            "headers": [[name.lower(), value] for name, value in self.headers.items()],
            "body": len(self._body()),
        }
        self.server.seen.append(f"{self.command} {self.path}")
        content = json.dumps(seen).encode()
        self.send_response(int(asked.get("status", "200")))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Powered-By", "echo")
        if "location" in asked:
            self.send_header("Location", asked["location"])
        if "cache" in asked:
            self.send_header("Cache-Control", asked["cache"])
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", "0")))
        body = b""
        while size := int(self.rfile.readline().strip() or b"0", 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _echo_bytes(self) -> None:
        key = self.headers["sec-websocket-key"] + _WEBSOCKET_GUID
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", b64encode(sha1(key.encode()).digest()).decode())
        self.end_headers()
        self.close_connection = True
        while chunk := self.connection.recv(4096):
            self.connection.sendall(chunk)

    def address_string(self) -> str:
        return "gateway"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        return


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, name: str, path: Path) -> None:
        self.name, self.seen = name, list[str]()
        super().__init__(str(path), Handler)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class TcpServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, name: str, address: str = "127.0.0.1") -> None:
        self.name, self.seen = name, list[str]()
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
