"""The rows whose request stays the same: client_credentials, introspection, userinfo, JWKS, discovery."""

from __future__ import annotations

from benchmarks.figures import Result
from benchmarks.generator import ask
from benchmarks.rows.refresh import Chain, FloorChain
from benchmarks.stage import Stage
from benchmarks.wire import FORM, Answer, basic, form, request


class Same:
    """`holds`: bytes that every good body has."""

    fresh = True

    def __init__(self, sent: bytes, holds: bytes = b"") -> None:
        self._sent = sent
        self._holds = holds

    def begin(self) -> bytes:
        return self._sent

    def next_request(self, answer: Answer) -> bytes | None:
        return self._sent if answer.status == 200 and self._holds in answer.body else None


def client_credentials(stage: Stage) -> Result:
    result = stage.product("client_credentials", client_credentials_walkers(stage, stage.options.connections), 0.20)
    if stage.options.floor:
        stage.beside_floor(result, client_credentials_floor(stage))
    return result


def client_credentials_floor(stage: Stage) -> list[Same]:
    return _floor(stage, "POST", "/client_credentials", b"client")


def client_credentials_walkers(stage: Stage, count: int) -> list[Same]:
    """Each a client of its own, drawn at random."""
    body = form({"grant_type": "client_credentials"})
    clients = (stage.dice.randrange(stage.cast.clients) for _ in range(count))
    return [Same(request("POST", "/token", as_client(stage, client), body), b'"access_token":"') for client in clients]


def introspection(stage: Stage) -> Result:
    result = stage.product("introspection", introspection_walkers(stage, stage.options.connections), 0.25)
    return stage.beside_floor(result, introspection_floor(stage)) if stage.options.floor else result


def introspection_walkers(stage: Stage, count: int) -> list[Same]:
    """Of a person's living access token, by the client that holds it. `active` is looked for in every body."""
    walkers = []
    for _ in range(count):
        family, token = access_token(stage, openid=False)
        client = stage.cast.client_of(family)
        sent = request("POST", "/introspect", as_client(stage, client), form({"token": token.decode()}))
        walkers.append(Same(sent, b'"active":true'))
    return walkers


def introspection_floor(stage: Stage) -> list[Same]:
    return _floor(stage, "POST", "/introspection", _floor_token(stage), holds=b'"active":true')


def userinfo(stage: Stage) -> Result:
    walkers = []
    for _ in range(stage.options.connections):
        _, token = access_token(stage, openid=True)
        headers = stage.headers(stage.settings.issuer) | {"authorization": f"Bearer {token.decode()}"}
        walkers.append(Same(request("GET", "/userinfo", headers), b'"email":"'))
    result = stage.product("userinfo", walkers, 0.30)
    if stage.options.floor:
        headers = {"authorization": f"Bearer {_floor_token(stage).decode()}"}
        stage.beside_floor(result, _floor(stage, "GET", "/userinfo", headers=headers, holds=b'"email":"'))
    return result


def jwks(stage: Stage) -> Result:
    return _document(stage, "jwks", "/jwks", b'"keys":')


def discovery(stage: Stage) -> Result:
    return _document(stage, "discovery", "/.well-known/openid-configuration", b'"issuer":')


def _document(stage: Stage, name: str, path: str, holds: bytes) -> Result:
    count = stage.options.connections
    walkers = [Same(request("GET", path, stage.headers(stage.settings.issuer)), holds) for _ in range(count)]
    result = stage.product(name, walkers, 0.06)
    return stage.beside_floor(result, _floor(stage, "GET", "/jwks")) if stage.options.floor else result


def as_client(stage: Stage, client: int) -> dict[str, str]:
    authorization = basic(stage.cast.client_id(client), stage.cast.client_secret(client))
    return stage.headers(stage.settings.issuer) | {"authorization": authorization, "content-type": FORM}


def access_token(stage: Stage, *, openid: bool) -> tuple[int, bytes]:
    """A family, and its access token: of a rotation just now, by the product itself."""
    chain = Chain(stage, openid=openid)
    answer = ask(stage.auth_door, chain.begin())
    token = answer.text(b"access_token")
    if token is None or chain.next_request(answer) is None:
        raise RuntimeError(f"no access token to ask about: {answer.status} {answer.body[:200]!r}")
    return chain.family, token


def _floor_token(stage: Stage) -> bytes:
    chain = FloorChain(stage, "/refresh")
    answer = ask(stage.floor().address, chain.begin())
    token = answer.text(b"access_token")
    if token is None or chain.next_request(answer) is None:
        raise RuntimeError(f"the floor gave no token: {answer.status}")
    return token


def _floor(
    stage: Stage,
    method: str,
    path: str,
    body: bytes = b"",
    *,
    headers: dict[str, str] | None = None,
    holds: bytes = b"",
) -> list[Same]:
    sent = request(method, path, {"host": "floor"} | (headers or {}), body)
    return [Same(sent, holds) for _ in range(stage.options.connections)]
