"""Another site: a tiny server whose pages try things. It serves any Host, so that one port is many origins.

`http://evil.localhost:<port>` is another site than `app.localhost`; `http://evil.app.localhost:<port>` is a sibling
subdomain of the app: same site, other origin.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Evil:
    """Pages by path; what arrived is kept in `seen`."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.port = int(server.server_address[1])
        self.pages: dict[str, str] = {}
        self.seen: list[str] = []

    def origin(self, host: str = "evil.localhost") -> str:
        return f"http://{host}:{self.port}"


@contextmanager
def evil_site() -> Iterator[Evil]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            evil.seen.append(self.path)
            body = evil.pages.get(self.path.partition("?")[0], "<!doctype html><title>nothing</title>").encode()
            self.send_response(200)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    evil = Evil(server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield evil
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
