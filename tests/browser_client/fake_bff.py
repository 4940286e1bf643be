"""A frontend in miniature: the answers of `/bff/*` as flows §1, §3, §4 and §11 give them, and one resource behind it.

It keeps what it was asked, and can be told to be away, to hold an answer back or to refuse.
"""

from __future__ import annotations

import json
import secrets
import threading
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bartizan.frontend.client import COOKIE, MEMORY, folder

POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self' http://127.0.0.1:*; img-src data:; base-uri 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
PAGE = (
    b"<!doctype html><title>t</title><link rel=icon href=data:,>"
    b"<p id=private>private</p><script type=module src=/app.js></script>"
)
APP = b"""import * as bz from '/bff/client.js';
window.bz = bz;
window.heard = [];
window.violations = [];
document.addEventListener('securitypolicyviolation', event => violations.push(event.violatedDirective));
for (const name of ['signed-out', 'session-changed']) bz.events.addEventListener(name, event => heard.push(name));
window.code = promise => promise.then(answer => answer?.status ?? 'done', error => error.code ?? String(error));
window.born = Math.random();
"""


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    csrf: str | None
    authorization: str | None
    size: int


@dataclass
class FakeBff:
    memory: bool = False
    lifetime: int = 300
    first_lifetime: int | None = None  # what the session says is left
    away: bool = False  # the auth server: 503
    refuse: int = 0  # so many next calls of the resource get 401
    refuse_csrf: bool = False
    gate: threading.Event = field(default_factory=threading.Event)  # a renewal waits for it
    people: dict[str, tuple[str, str]] = field(default_factory=dict)  # rt cookie → (name, csrf)
    tokens: list[str] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    port: int = 0

    def __post_init__(self) -> None:
        self.gate.set()
        self.lock = threading.Lock()

    @property
    def origin(self) -> str:
        return f"http://app.localhost:{self.port}"

    def name(self, kind: str) -> str:
        return f"__Host-bz{self.port}-{kind}"

    def sign_in(self, person: str) -> list[dict[str, object]]:
        """Cookies for a browser, as after the callback."""
        sealed, csrf = secrets.token_urlsafe(16), secrets.token_urlsafe(16)
        self.people[sealed] = (person, csrf)
        return [
            {"name": self.name("rt"), "value": sealed, "url": self._secure, "httpOnly": True, "sameSite": "Strict"},
            {"name": self.name("csrf"), "value": csrf, "url": self._secure, "sameSite": "Lax"},
        ]

    @property
    def _secure(self) -> str:
        return f"https://app.localhost:{self.port}/"

    def count(self, path: str) -> int:
        return sum(1 for one in self.asked if one.path == path)

    def last(self, path: str) -> Asked:
        return [one for one in self.asked if one.path == path][-1]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bff: FakeBff

    def log_message(self, *words: object) -> None:
        """Quiet: what was asked is in `FakeBff.asked`."""

    def do_GET(self) -> None:
        self._go()

    def do_POST(self) -> None:
        self._go()

    def _go(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        path = self.path.partition("?")[0]
        sent = Asked(self.command, path, self.headers.get("x-csrf-token"), self.headers.get("authorization"), len(body))
        with self.bff.lock:
            self.bff.asked.append(sent)
        jar = SimpleCookie(self.headers.get("cookie", ""))
        found = jar.get(self.bff.name("rt"))
        sealed = found.value if found else ""
        match path:
            case "/":
                self._answer(200, PAGE, "text/html", [("content-security-policy", POLICY)])
            case "/app.js":
                self._answer(200, APP, "text/javascript")
            case "/bff/session":
                self._session(sealed)
            case "/bff/refresh":
                self._refresh(sealed, sent)
            case "/bff/logout":
                self.bff.people.pop(sealed, None)
                self._json(200, {"signed_out": True, "continue": "/elsewhere"}, self._gone())
            case "/api":
                self._resource(sealed, sent)
            case _ if path.startswith("/bff/") and path.endswith(".js"):
                name = path.removeprefix("/bff/").replace("client.js", MEMORY if self.bff.memory else COOKIE)
                self._answer(200, (folder() / name).read_bytes(), "text/javascript")
            case _:
                self._answer(200, b"<!doctype html><title>elsewhere</title>", "text/html")

    def _session(self, sealed: str) -> None:
        person = self.bff.people.get(sealed)
        if person is None:
            self._json(200, {"signed_in": False})
            return
        left = self.bff.lifetime if self.bff.first_lifetime is None else self.bff.first_lifetime
        user = {"sub": person[0], "name": person[0], "email": f"{person[0]}@example.org"}
        expires_in = 0 if self.bff.memory else left
        self._json(200, {"signed_in": True, "user": user, "csrf": person[1], "expires_in": expires_in})

    def _refresh(self, sealed: str, sent: Asked) -> None:
        self.bff.gate.wait(20)
        person = self.bff.people.get(sealed)
        if self.bff.away:
            self._json(503, {"error": "temporarily_unavailable"})
        elif person is None:
            self._json(401, {"error": "signed_out"}, self._gone())
        elif sent.csrf != person[1]:
            self._json(403, {"error": "csrf"})
        else:
            answer: dict[str, object] = {"expires_in": self.bff.lifetime}
            if self.bff.memory:
                answer["access_token"] = token = secrets.token_urlsafe(24)
                self.bff.tokens.append(token)
            csrf = f"{self.bff.name('csrf')}={person[1]}; Path=/; Secure; SameSite=Lax; Max-Age=1000"
            self._json(200, answer, [("set-cookie", csrf)])

    def _resource(self, sealed: str, sent: Asked) -> None:
        with self.bff.lock:
            refused, self.bff.refuse = self.bff.refuse > 0, max(0, self.bff.refuse - 1)
        if refused or sealed not in self.bff.people:
            self._json(401, {"error": "unauthorized"})
        elif self.bff.refuse_csrf:
            self._json(403, {"error": "csrf"})
        else:
            self._json(200, {"size": sent.size})

    def _gone(self) -> list[tuple[str, str]]:
        return [
            ("set-cookie", f"{self.bff.name(kind)}=; Path=/; Secure; Max-Age=0{more}")
            for kind, more in (("rt", "; HttpOnly; SameSite=Strict"), ("csrf", "; SameSite=Lax"))
        ]

    def _json(self, status: int, body: object, more: list[tuple[str, str]] | None = None) -> None:
        self._answer(
            status, json.dumps(body).encode(), "application/json", [("cache-control", "no-store"), *(more or [])]
        )

    def _answer(self, status: int, body: bytes, kind: str, more: list[tuple[str, str]] | None = None) -> None:
        self.send_response(status)
        for name, value in (("content-type", kind), ("content-length", str(len(body))), *(more or [])):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def start(bff: FakeBff) -> ThreadingHTTPServer:
    """Serves until `shutdown`; its port is the system's choice."""
    handler = type("Bound", (Handler,), {"bff": bff})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    bff.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server
