"""An auth server as the agent sees it: keys and feed on a Unix socket, to be ended, changed and switched off."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from tests.gateway.site import Keys


class FakeIssuer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def __init__(self, path: Path, issuer: str, keys: Keys) -> None:
        self.issuer = issuer
        self.published = [keys]
        self.signing = keys
        self.ended: set[str] = set()
        self.away = False
        self.age = 0  # seconds that the feed's `iat` lies back
        self.hosts: set[str] = set()
        super().__init__(str(path), _Handler)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def feed(self) -> str:
        now = int(time.time()) - self.age
        claims = {"iss": self.issuer, "iat": now, "exp": now + 10, "cursor": now, "gids": sorted(self.ended)}
        return self.signing.signer.sign(claims, "ended+jwt")

    def jwks(self) -> str:
        return json.dumps({"keys": [key for keys in self.published for key in json.loads(keys.jwks())["keys"]]})


class _Handler(BaseHTTPRequestHandler):
    server: FakeIssuer

    def do_GET(self) -> None:
        self.server.hosts.add(self.headers["host"])
        if self.server.away:
            self.send_error(503)
            return
        content = self.server.jwks() if self.path == "/jwks" else self.server.feed()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(content.encode())

    def address_string(self) -> str:
        return "agent"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        return
