"""Flows §7: from a sign-out to its refusal at gateway, guard, introspection and refresh. The worst of some."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from msgspec import Struct

from benchmarks.figures import Result, Row, percentile
from benchmarks.generator import ask
from benchmarks.rows.fixed import as_client
from benchmarks.rows.guards import Resource
from benchmarks.rows.refresh import Chain
from benchmarks.stage import Stage
from benchmarks.wire import FORM, Answer, form, request

BAR_SECONDS = 2.0
_AT_ONCE = 4  # sign-outs under way: their readers must not be the load
_GIVE_UP = 10.0
_EVERY = 0.01
_FIELD = re.compile(rb'name="csrf" value="([A-Za-z0-9_-]+)"')


class Trial(Struct, frozen=True):
    """One signed-in person at one client."""

    family: int
    access_token: str
    chain: Chain


def ended_lag(stage: Stage) -> Result:
    resource = Resource(stage)
    trials = [signed_in(stage, resource, stage.deck.draw()) for _ in range(stage.options.endings)]
    pauses = [stage.dice.uniform(0, 2) for _ in trials]  # anywhere between two polls of the readers
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        lags = list(pool.map(lambda pair: _ended(stage, resource, *pair), zip(trials, pauses, strict=True)))
    resource.stop()
    worst = {where: max(lag[where] for lag in lags) for where in lags[0]}
    late = sum(max(lag.values()) >= _GIVE_UP for lag in lags)
    ordered = sorted(round(max(lag.values()) * 1e9) for lag in lags)
    row = Row(
        name="ended_lag",
        p50_ms=round(percentile(ordered, 0.5) / 1e6, 1),
        p99_ms=round(ordered[-1] / 1e6, 1),
        bar=BAR_SECONDS * 1000,
    )
    return Result(
        row=row,
        met=not late and max(worst.values()) <= BAR_SECONDS,
        beside={
            "worst_seconds": {where: round(seconds, 3) for where, seconds in worst.items()},
            "endings": len(lags),
            "never_refused": late,
            "said": f"worst of {len(lags)}: {max(worst.values()):.2f} s of {BAR_SECONDS:g} s",
        },
    )


def signed_in(stage: Stage, resource: Resource, family: int) -> Trial:
    """With tokens of the product's own, which all four take."""
    chain = Chain(stage)
    answer = ask(stage.auth_door, chain.of(family))
    token = answer.text(b"access_token")
    if token is None or chain.next_request(answer) is None:
        raise RuntimeError(f"no tokens: {answer.status}")
    trial = Trial(chain.family, token.decode(), chain)
    for where, refused in doors(stage, resource, trial).items():
        if refused():
            raise RuntimeError(f"{where} refuses a session that lives")
    return trial


def _ended(stage: Stage, resource: Resource, trial: Trial, pause: float) -> dict[str, float]:
    """Seconds until each has refused it, since the sign-out was answered."""
    time.sleep(pause)
    _sign_out(stage, stage.cast.session_of(trial.family))
    begun = time.monotonic()
    open_doors, lags = doors(stage, resource, trial), {}
    while open_doors and time.monotonic() - begun < _GIVE_UP:
        for where, refused in list(open_doors.items()):
            if refused():
                lags[where] = time.monotonic() - begun
                del open_doors[where]
        time.sleep(_EVERY)  # how fine the figure is
    return lags | dict.fromkeys(open_doors, _GIVE_UP)


def doors(stage: Stage, resource: Resource, trial: Trial) -> dict[str, Callable[[], bool]]:
    gateway = ("127.0.0.1", stage.site.port)
    bearer = {"authorization": f"Bearer {trial.access_token}"}
    host = stage.settings.app_origin.partition("://")[2]
    through = request("GET", "/api/thing", {"host": host} | bearer)
    client = stage.cast.client_of(trial.family)
    asked = request("POST", "/introspect", as_client(stage, client), form({"token": trial.access_token}))

    def introspection() -> bool:
        answer = ask(stage.auth_door, asked)
        _sane("introspection", answer.status, (200,))
        return b'"active":true' not in answer.body

    def at_gateway() -> bool:
        status = ask(gateway, through).status
        _sane("gateway", status, (200, 401, 403))
        return status != 200

    def at_guard() -> bool:
        status = resource.status(trial.access_token)
        _sane("guard", status, (200, 401))
        return status != 200

    def refresh() -> bool:
        answer = ask(stage.auth_door, trial.chain.again())
        _sane("refresh", answer.status, (200, 400))
        return trial.chain.next_request(answer) is None

    return {"introspection": introspection, "gateway": at_gateway, "guard": at_guard, "refresh": refresh}


def _sane(where: str, status: int, expected: tuple[int, ...]) -> None:
    """503 and the like are no refusal of this session."""
    if status not in expected:
        raise RuntimeError(f"{where} answers {status}")


def _sign_out(stage: Stage, session: int) -> None:
    """As the person does it: the page of `id`, and its form."""
    origin, name = stage.settings.issuer, stage.settings.cookies.sso
    cookie = f"{name}={stage.cast.session_secret(session)}"
    page = ask(stage.auth_door, request("GET", "/logout", stage.headers(origin) | {"cookie": cookie}))
    field = _FIELD.search(page.body)
    if page.status != 200 or field is None:
        raise RuntimeError(f"no sign-out page: {page.status}")
    cookies = "; ".join([cookie, *(f"{key}={value}" for key, value in page.cookies().items())])
    headers = stage.headers(origin) | {
        "cookie": cookies, "origin": origin, "sec-fetch-site": "same-origin", "content-type": FORM,
    }  # fmt: skip
    done: Answer = ask(
        stage.auth_door,
        request("POST", "/sign-out", headers, form({"csrf": field[1].decode(), "decision": "end"})),
    )
    if done.status != 303:
        raise RuntimeError(f"the sign-out was not taken: {done.status}")
