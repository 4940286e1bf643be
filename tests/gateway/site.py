"""One real Envoy before echo servers, with a locally made signing key; and a caller that can send anything."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc.jwk import ECKey
from tests.gateway.echo import Server, TcpServer, free_port

from bartizan.gateway import envoy, publish
from bartizan.gateway.compiler import published
from bartizan.gateway.settings import GatewaySettings
from bartizan.protocol.jose import Signer, public_part

Headers = Iterable[tuple[str, str]]
CSRF = "c" * 22
_START_SECONDS = 10


class Keys:
    """An ES256 pair, and tokens signed by it."""

    def __init__(self, issuer: str, audience: str, kid: str = "test") -> None:
        private = ECKey.import_key(ec.generate_private_key(ec.SECP256R1()))
        self.private = {name: str(value) for name, value in private.as_dict(private=True).items()} | {"kid": kid}
        self._issuer, self._audience = issuer, audience
        self.signer = Signer(self.private, kid, "ES256")

    def jwks(self) -> str:
        return json.dumps({"keys": [public_part(self.private) | {"alg": "ES256", "use": "sig"}]})

    def token(self, **claims: object) -> str:
        """A good access token; a claim given as None is left out."""
        now = int(time.time())
        base: dict[str, object] = {
            "iss": self._issuer,
            "aud": [self._audience],
            "sub": "alice",
            "client_id": "spa",
            "scope": "photos.read photos.write",
            "iat": now,
            "exp": now + 300,
            "jti": "j",
            "gid": "family-1",
        }
        merged = {name: value for name, value in (base | claims).items() if value is not None}
        return self.signer.sign(merged, "at+jwt")


class Answer:
    def __init__(self, response: HTTPResponse) -> None:
        self.status = response.status
        self.headers = [(name.lower(), value) for name, value in response.getheaders()]
        self.body = response.read()

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key == name]
        assert len(values) < 2, (name, values)
        return values[0] if values else None

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def seen(self) -> dict[str, Any]:
        """What reached the server behind."""
        seen = self.json()
        assert "server" in seen, self.body
        return dict(seen)

    def seen_all(self, name: str) -> list[str]:
        return [value for key, value in self.seen["headers"] if key == name]

    def seen_header(self, name: str) -> str | None:
        values = self.seen_all(name)
        assert len(values) < 2, (name, values)
        return values[0] if values else None


class Site:
    """The gateway under test. Files of the agent are written by the test itself."""

    def __init__(self, settings: GatewaySettings, directory: Path) -> None:
        self.settings = settings
        self.directory = directory
        self.keys = Keys(settings.id_origin, settings.app_origin)
        self.process: subprocess.Popen[bytes] | None = None
        self.servers: dict[str, Server | TcpServer] = {}

    @property
    def port(self) -> int:
        return self.settings.listen_port

    @property
    def log(self) -> Path:
        return Path(self.settings.access_log)

    @property
    def proc(self) -> Path:
        assert self.process is not None
        return Path("/proc") / str(self.process.pid)

    def start(self, *, listening: bool = True) -> None:
        envoy.prepare(self.settings)
        self.publish(published.JWT_FILE, published.jwt(self.settings, self.keys.jwks()))
        self.publish(published.ENDED_FILE, published.ended(()))
        self.start_envoy(listening=listening)

    def start_envoy(self, *, listening: bool = True) -> None:
        with (self.directory / "envoy.log").open("wb") as log:
            self.process = subprocess.Popen(
                envoy.command(self.settings), stdout=log, stderr=log, start_new_session=True
            )
        until = time.monotonic() + _START_SECONDS
        while listening:
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
                return
            except OSError:
                assert self.process.poll() is None, (self.directory / "envoy.log").read_text()[-4000:]
                assert time.monotonic() < until, "Envoy does not listen"
                time.sleep(0.02)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
        for server in self.servers.values():
            server.shutdown()
            server.server_close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def publish(self, name: str, content: dict[str, Any]) -> None:
        publish.write(self.settings.config_dir, name, content)

    def end(self, *gids: str) -> None:
        self.publish(published.ENDED_FILE, published.ended(gids))

    def ask(
        self,
        method: str,
        path: str,
        headers: Headers | Mapping[str, str] = (),
        *,
        host: str | None = None,
        body: bytes | None = None,
    ) -> Answer:
        pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            connection.putheader("Host", host or self.host("app"))
            for name, value in pairs:
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def raw(self, text: str) -> tuple[int, bytes]:
        """Bytes as they are, for what no client library sends. The status, 0 if there was none, and the answer."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as connection:
            connection.sendall(text.replace("\n", "\r\n").encode("latin-1"))
            response = HTTPResponse(connection)
            try:
                response.begin()
                head = "".join(f"{name}: {value}\n" for name, value in response.getheaders())
                return response.status, head.encode() + b"\r\n\r\n" + response.read()
            except HTTPException:
                return 0, b""

    def host(self, name: str) -> str:
        return f"{name}.localhost:{self.port}"

    def cookies(self, token: str | None = None, *, refresh: bool = False, csrf: bool = False) -> tuple[str, str]:
        prefix = f"__Host-bz{self.port}"
        pairs = [
            *([f"{prefix}-at={token}"] if token else []),
            *([f"{prefix}-rt=sealed"] if refresh else []),
            *([f"{prefix}-csrf={CSRF}"] if csrf else []),
        ]
        return "Cookie", "; ".join(pairs)

    def cookie_token(self, **claims: object) -> str:
        return self.keys.token(csrf=CSRF, **claims)


def make_site(template: GatewaySettings, own: Iterable[str], apps: Iterable[str]) -> Site:
    """Fills in ports and sockets: `socket:NAME` and `app:NAME` in the template's addresses."""
    directory = Path(tempfile.mkdtemp(prefix="bz-gw-"))  # pytest's own path may be too long for a socket
    servers: dict[str, Server | TcpServer] = {name: Server(name, directory / f"{name}.sock") for name in own}
    ports = {}
    for name in apps:
        app = TcpServer(name)
        servers[name], ports[name] = app, app.port
    port = free_port()
    replace = msgspec.structs.replace

    def address(to: str) -> str:
        if to.startswith("app:"):
            name = to.removeprefix("app:")
            return f"http://127.0.0.1:{ports.get(name, 1)}"
        return f"unix:{directory}/{to.removeprefix('socket:')}.sock" if to.startswith("socket:") else to

    settings = replace(
        template,
        app_origin=f"http://app.localhost:{port}",
        id_origin=f"http://id.localhost:{port}",
        files_origin=f"http://files.localhost:{port}",
        listen_port=port,
        own=tuple(replace(server, socket=directory / f"{server.name}.sock") for server in template.own),
        app_routes=tuple(replace(route, to=address(route.to)) for route in template.app_routes),
        hosts=tuple(replace(host, origin=f"{host.origin}:{port}", to=address(host.to)) for host in template.hosts),
        config_dir=directory / "config",
        admin_socket=directory / "admin.sock",
        access_log=str(directory / "access.log"),
    )
    site = Site(settings, directory)
    site.servers = servers
    return site
