"""OAuth 2.1 §4.1 with a living session and a first-party client: GET /authorize, 303 with the code, POST /token."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from urllib.parse import quote

from benchmarks import cast
from benchmarks.figures import Result
from benchmarks.stage import Stage
from benchmarks.wire import FORM, Answer, basic, request

BAR = 0.90
_CODE = b"code="


class Flow:
    """A unit is the whole flow. Person, session and client stay with the connection; verifier and state do not."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.fresh = True
        number = stage.dice.randrange(stage.cast.sessions)
        client = stage.dice.randrange(stage.cast.clients)
        self._name = stage.cast.client_id(client)
        cookie = f"{stage.settings.cookies.sso}={stage.cast.session_secret(number)}"
        browser = stage.headers(stage.settings.issuer) | {
            "cookie": cookie, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate",
        }  # fmt: skip
        self._browser = request("GET", "", browser).partition(b"HTTP/1.1")[2]
        authorization = basic(self._name, stage.cast.client_secret(client))
        headers = stage.headers(stage.settings.issuer) | {"authorization": authorization, "content-type": FORM}
        self._client = request("POST", "/token", headers, b"x").partition(b"content-length")[0]
        self._verifier = ""

    def begin(self) -> bytes:
        self.fresh = True
        self._verifier = _base64url(self._stage.dice.randbytes(32))
        challenge = _base64url(sha256(self._verifier.encode()).digest())
        query = (
            f"response_type=code&client_id={self._name}&redirect_uri={quote(cast.REDIRECT, safe='')}"
            f"&scope=openid%20profile%20photos.read&state={self._verifier[:22]}&nonce={self._verifier[:21]}"
            f"&code_challenge={challenge}&code_challenge_method=S256"
        )
        return b"GET /authorize?" + query.encode() + b" HTTP/1.1" + self._browser

    def next_request(self, answer: Answer) -> bytes | None:
        if not self.fresh:
            good = answer.status == 200 and answer.text(b"refresh_token") and answer.text(b"id_token")
            if not good:
                return None
            return self.begin()
        code = _code(answer.header(b"location")) if answer.status == 303 else None
        if code is None:
            return None
        self.fresh = False
        body = (
            b"grant_type=authorization_code&code="
            + code
            + f"&redirect_uri={quote(cast.REDIRECT, safe='')}&code_verifier={self._verifier}".encode()
        )
        return self._client + b"content-length: %d\r\n\r\n" % len(body) + body


class FloorFlow:
    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.fresh = True
        self._cookie = stage.cast.session_secret(stage.dice.randrange(stage.cast.sessions)).encode()
        self._verifier = b""

    def begin(self) -> bytes:
        self.fresh = True
        self._verifier = _base64url(self._stage.dice.randbytes(32)).encode()
        challenge = _base64url(sha256(self._verifier).digest()).encode()
        return b"POST /authorize HTTP/1.1\r\nhost: floor\r\ncookie: %b\r\ncontent-length: %d\r\n\r\n%b" % (
            self._cookie, len(challenge), challenge,
        )  # fmt: skip

    def next_request(self, answer: Answer) -> bytes | None:
        if answer.status != 200:
            return None
        if not self.fresh:
            return self.begin()
        code = answer.text(b"code")
        if code is None:
            return None
        self.fresh = False
        body = code + b" " + self._verifier
        return b"POST /token HTTP/1.1\r\nhost: floor\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def code_flow(stage: Stage) -> Result:
    count = stage.options.connections
    result = stage.product("code_flow", [Flow(stage) for _ in range(count)], BAR)
    return stage.beside_floor(result, [FloorFlow(stage) for _ in range(count)]) if stage.options.floor else result


def _code(location: bytes | None) -> bytes | None:
    if location is None or not location.startswith(cast.REDIRECT.encode()):
        return None
    query = location.partition(b"?")[2]
    return next((pair[len(_CODE) :] for pair in query.split(b"&") if pair.startswith(_CODE)), None)


def _base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
