"""The BFF before a whole auth server in memory, and a browser that keeps each cookie with its attributes."""

from __future__ import annotations

from pathlib import Path
from typing import Self, cast
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace
from tests.unit.auth import house as auth_house
from tests.unit.auth.fake_ports import FakeChance, FakeLimits
from tests.unit.auth.house import APP, BFF, ISSUER, RING
from tests.unit.web.calling import Answer, calling

from bartizan.frontend.app import build
from bartizan.frontend.ports import FrontendPorts
from bartizan.frontend.settings import FrontendSettings
from bartizan.frontend.way import NoAnswer, Question, Reply, Way
from bartizan.frontend.way_inside import Inside
from bartizan.model.clients import Mode
from bartizan.model.limit import Taken, Try
from bartizan.model.store import Store

AT, RT, CSRF, HOP, LOGIN = (f"__Host-bz8080-{name}" for name in ("at", "rt", "csrf", "hop", "login-"))
FORM = "application/x-www-form-urlencoded"
TYPED = {"accept": "text/html", "sec-fetch-site": "none", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
CLICKED = {**TYPED, "sec-fetch-site": "same-origin"}
FROM_ELSEWHERE = {**TYPED, "sec-fetch-site": "cross-site"}
SCRIPT = {"accept": "*/*", "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}

SETTINGS = FrontendSettings(
    app_origin=APP,
    id_origin=ISSUER,
    files_origin="http://files.localhost:8080",
    auth_address="unix:/nowhere/auth.sock",
    client_id=BFF.id,
    scopes=BFF.scopes,
    site_name="Snapshots",
)


class Counting:
    """A meter whose counters can be read."""

    def __init__(self) -> None:
        self.counted: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}

    def count(self, name: str, /, amount: float = 1, **labels: str) -> None:
        key = (name, tuple(sorted(labels.items())))
        self.counted[key] = self.counted.get(key, 0) + amount

    def observe(self, name: str, seconds: float, /, **labels: str) -> None:
        return None

    def set(self, name: str, value: float, /, **labels: str) -> None:
        return None


class Wire:
    """The way to the auth server: notes what is asked, and can be cut."""

    def __init__(self, inner: Way) -> None:
        self._inner = inner
        self.cut = False
        self.lose_answers = 0  # so many: the auth server acts, and nobody hears of it
        self.asked: list[Question] = []
        self.given: list[float] = []  # the seconds that each question was given

    async def ask(self, question: Question, seconds: float) -> Reply:
        if self.cut:
            raise NoAnswer
        self.asked.append(question)
        self.given.append(seconds)
        reply = await self._inner.ask(question, seconds)
        if self.lose_answers:
            self.lose_answers -= 1
            raise NoAnswer
        return reply

    def paths(self) -> list[str]:
        return [question.path for question in self.asked]


class Few(FakeLimits):
    """Lets the first so many through."""

    def __init__(self, most: int) -> None:
        self._left = most

    async def take(self, *tries: Try) -> tuple[Taken, ...]:
        self._left -= 1
        return (Taken(self._left >= 0, 0),) * len(tries)


class Cookie(Struct, frozen=True):
    value: str
    attributes: frozenset[str]
    max_age: int


def read_cookies(answer: Answer) -> dict[str, Cookie]:
    found: dict[str, Cookie] = {}
    for line in answer.all("set-cookie"):
        pair, *words = line.split("; ")
        name, _, value = pair.partition("=")
        assert name not in found, f"{name} is set twice in one answer"
        ages = [int(word.removeprefix("Max-Age=")) for word in words if word.startswith("Max-Age=")]
        rest = frozenset(word for word in words if not word.startswith("Max-Age="))
        found[name] = Cookie(value, rest, ages[0])
    return found


class Browser:
    """One browser at the app origin. The auth server's own browser side is `auth`."""

    def __init__(self, mode: Mode = Mode.COOKIE, *, spa: Path | None = None, limits: FakeLimits | None = None) -> None:
        self.auth = auth_house.House()
        self.auth.tables.clients[BFF.id] = replace(BFF, mode=mode)
        self.wire = Wire(Inside(self.auth.app, ISSUER))
        self.meter = Counting()
        self.settings = replace(SETTINGS, mode=mode, spa_dir=spa)
        self.ports = FrontendPorts(
            store=cast("Store", self.auth.store),
            limits=limits or FakeLimits(),
            ring=RING,
            meter=self.meter,
            clock=self.auth.clock,
            chance=FakeChance(),
            way=self.wire,
        )
        self.app = build(self.settings, self.ports)
        self.cookies: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.auth.loop.close()

    async def sending(
        self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """One request with the cookies of now; those of the answer are kept."""
        sent = {"x-forwarded-for": "203.0.113.7", **(headers or {})}
        strict = sent.get("sec-fetch-site") not in ("cross-site",)
        jar = {name: value for name, value in self.cookies.items() if strict or name.startswith((CSRF, LOGIN))}
        if jar and "cookie" not in sent:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
        answer = await calling(self.app, method, target, headers=sent, body=body)
        self.keep(answer)
        return answer

    def keep(self, answer: Answer) -> None:
        for name, cookie in read_cookies(answer).items():
            if cookie.max_age == 0:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = cookie.value

    def call(self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
        return self.auth.loop.run_until_complete(self.sending(method, target, headers, body))

    def post(self, path: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
        """A script of the app's own page, with the CSRF value that it knows."""
        return self.call("POST", path, {**SCRIPT, "x-csrf-token": self.cookies.get(CSRF, ""), **(headers or {})}, body)

    def begin(self, return_to: str = "/") -> str:
        """To the sign-in page: its address."""
        answer = self.call("GET", f"/bff/login?return_to={return_to}", TYPED)
        assert answer.status == 303, answer.text
        return answer.header("location") or ""

    def approve(self, address: str) -> str:
        """At `id`, where the person is signed in: the way back, as path and query."""
        if not any(name.endswith("-sso") for name in self.auth.cookies):
            self.auth.sign_in()
        answer = self.auth.call("GET", address.removeprefix(ISSUER), headers={"accept": "text/html"})
        back = answer.header("location") or ""
        assert back.startswith(f"{APP}/bff/callback?"), (answer.status, back, answer.text)
        return back.removeprefix(APP)

    def sign_in(self, return_to: str = "/") -> Answer:
        answer = self.call("GET", self.approve(self.begin(return_to)), FROM_ELSEWHERE)
        assert answer.status == 200, answer.text
        return answer

    def session(self) -> dict[str, object]:
        return self.call("GET", "/bff/session", SCRIPT).json

    def later(self, seconds: float) -> None:
        self.auth.later(seconds)
        if seconds >= 10:
            self.cookies.pop(HOP, None)


def path_of(address: str | None) -> str:
    return urlsplit(address or "").path
