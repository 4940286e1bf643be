"""Flows §4: `/bff/refresh` in cookie mode, through the gateway: Envoy, BFF, auth server, database and back."""

from __future__ import annotations

from bartizan.frontend.seals import Held, Person, Seals
from bartizan.model.clients import Mode
from bartizan.protocol.web import csrf
from benchmarks.figures import Result, result_of
from benchmarks.generator import Group
from benchmarks.stage import Stage
from benchmarks.wire import Answer, request

BAR = 0.80


class Browser:
    """One signed-in browser: it keeps the cookies that it is given."""

    fresh = True

    def __init__(self, stage: Stage, seals: Seals, number: int) -> None:
        self._stage = stage
        self._names = stage.settings.cookies
        self._csrf = stage.cast.csrf(number)
        user = stage.cast.user_of(number)
        person = Person(str(stage.cast.user_id(user)), f"Person {user}", stage.cast.email(user))
        held = Held(stage.deck.browser_token(number), self._csrf, Mode.COOKIE, person, "")
        sealed = seals.close(held, self._names.rt, stage.dice.randbytes(12))
        self._jar = {self._names.rt: sealed, self._names.csrf: self._csrf}
        origin = stage.settings.app_origin
        self._headers = {
            "host": origin.partition("://")[2],
            "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "accept": "*/*",
            "origin": origin,
            "sec-fetch-site": "same-origin",
            "sec-fetch-mode": "cors",
            csrf.HEADER.lower(): self._csrf,
        }

    def headers(self) -> dict[str, str]:
        """Of a request by the page's own script."""
        return self._headers | {"cookie": "; ".join(f"{name}={value}" for name, value in self._jar.items())}

    def begin(self) -> bytes:
        return request("POST", "/bff/refresh", self.headers())

    def next_request(self, answer: Answer) -> bytes | None:
        given = answer.cookies()
        if answer.status != 200 or not {self._names.rt, self._names.at} <= given.keys():
            return None
        self._jar |= given
        return self.begin()


def bff_refresh(stage: Stage) -> Result:
    """Bar and figures take in the gateway, whose share stands beside."""
    walkers = browsers(stage, stage.options.connections)
    group = Group((("127.0.0.1", stage.site.port),), walkers)
    servers, gateway = stage.site.pids("auth", "frontend"), stage.site.pids("gateway")
    (load,), cost = stage.load("bff_refresh", [group], servers=servers, gateway=gateway)
    result = result_of("bff_refresh", load, cost, BAR)
    result.beside["cpu_gateway_ms"] = round(cost.gateway * 1000 / max(load.units, 1), 4)
    return result


def browsers(stage: Stage, count: int) -> list[Browser]:
    """Each family of the BFF's serves one row once."""
    seals = Seals(stage.site.ring())
    return [Browser(stage, seals, stage.deck.draw_browser()) for _ in range(count)]
