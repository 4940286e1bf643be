"""A BFF that is played: says who is signed in, counts what it is asked, and can be told to end the session."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bartizan.frontend.client import folder

# A page under the policy that our promise is about: nothing inline, and Trusted Types without a single policy.
_CSP = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_PAGE = b'<!doctype html><html lang="en"><title>app</title><script type="module" src="/page.js"></script><p>mine'
_SCRIPT = b"""import * as bz from '/bff/client.js';
window.bz = bz;
window.seen = [];
bz.events.addEventListener('session-changed', event => {
  if (window.stay) event.preventDefault();
  window.seen.push(event.detail.reason);
});
"""


class Played:
    """`asked` holds (method, path, headers); `csrf` is the session's value, None when nobody is signed in."""

    def __init__(self, server: ThreadingHTTPServer, mode: str) -> None:
        self.port = int(server.server_address[1])
        self.mode = mode
        self.csrf: str | None = "alice-value-0123456789"
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.lifetime = 300
        self.slow = 0.0
        self.tokens = 0

    @property
    def origin(self) -> str:
        return f"http://app.localhost:{self.port}"

    @property
    def cookie(self) -> str:
        return f"__Host-bz{self.port}-csrf"

    def count(self, path: str) -> int:
        return sum(1 for _, asked, _ in self.asked if asked == path)

    def headers_of(self, method: str, path: str) -> dict[str, str]:
        return [headers for one, asked, headers in self.asked if (one, asked) == (method, path)][-1]

    def answer(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        self.asked.append((method, path, headers))
        if path in ("/", "/other"):
            return 200, {"content-type": "text/html", "content-security-policy": _CSP, **self.readable()}, _PAGE
        if path == "/page.js":
            return 200, {"content-type": "text/javascript"}, _SCRIPT
        if path.endswith(".js"):
            name = path.removeprefix("/bff/")
            if name == "client.js":
                name = "bartizan-memory.js" if self.mode == "memory" else "bartizan.js"
            return 200, {"content-type": "text/javascript"}, (folder() / name).read_bytes()
        if path == "/bff/session":
            return self.said(self.who())
        if path in ("/bff/refresh", "/bff/logout") and headers.get("x-csrf-token") != self.csrf:
            return self.said({"error": "csrf"}, 403 if self.csrf else 401)
        if path == "/bff/refresh":
            time.sleep(self.slow)
            self.tokens += 1
            token = {"access_token": f"token-{self.tokens}"} if self.mode == "memory" else {}
            return self.said({"expires_in": self.lifetime, **token})
        if path == "/bff/logout":
            self.csrf = None
            return self.said({"signed_out": True, "continue": f"{self.origin}/other"})
        return self.said({"ok": True})

    def who(self) -> dict[str, object]:
        if self.csrf is None:
            return {"signed_in": False, "mode": self.mode}
        user = {"sub": "u-1", "name": "Alice", "email": "alice@example.com"}
        left = self.lifetime if self.mode == "cookie" else 0
        return {"signed_in": True, "mode": self.mode, "user": user, "csrf": self.csrf, "expires_in": left}

    def said(self, value: dict[str, object], status: int = 200) -> tuple[int, dict[str, str], bytes]:
        return status, {"content-type": "application/json", **self.readable()}, json.dumps(value).encode()

    def readable(self) -> dict[str, str]:
        age = 3600 if self.csrf else 0
        return {"set-cookie": f"{self.cookie}={self.csrf or ''}; Path=/; Secure; SameSite=Lax; Max-Age={age}"}


@contextmanager
def played(mode: str = "cookie") -> Iterator[Played]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            self.rfile.read(length)
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, more, body = bff.answer(self.command, self.path.partition("?")[0], headers)
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = _any  # noqa: N815 - the base class names them so

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    bff = Played(server, mode)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield bff
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
