"""The gateway's whole chain before a protected route, beside the same Envoy passing the same request on untouched."""

from __future__ import annotations

import asyncio
import statistics
import time

from benchmarks import wrk
from benchmarks.figures import Cost, Load, Result, result_of
from benchmarks.generator import ask
from benchmarks.rows.bff import browsers
from benchmarks.rows.fixed import access_token, as_client
from benchmarks.stage import Stage
from benchmarks.wire import form, request

BAR = 0.65  # of plain Envoy, in rate and in CPU
ENDED = 10_000
_PUBLISHED_SECONDS = 6.0
_PATH = "/api/thing"

_END_MANY = """
    INSERT INTO ended (gid, at, until)
    SELECT gen_random_uuid(), now(), now() + interval '6 minutes' FROM generate_series(1, $1)
"""


def gateway(stage: Stage) -> Result:
    """A cookie-mode GET, as the page's own script sends it, while 10,000 ended sessions stand on the deny list."""
    asyncio.run(_end_many(stage))
    _wait_until_published(stage)
    browser = browsers(stage, 1)[0]
    door = ("127.0.0.1", stage.site.port)
    if browser.next_request(ask(door, browser.begin())) is None:
        raise RuntimeError("the browser got no access cookie")
    headers = browser.headers() | {"sec-fetch-dest": "empty"}
    plain = headers | {"host": f"plain.localhost:{stage.site.port}"}
    for warm in (headers, plain):
        _measured(stage, warm)
    pairs = [(_measured(stage, headers), _measured(stage, plain)) for _ in range(max(1, round(stage.options.seconds)))]
    result = _all_of("gateway", [protected for protected, _ in pairs])
    unprotected = _all_of("gateway plain", [passed for _, passed in pairs])
    result.row.bar, result.row.floor_cpu_ms = BAR, unprotected.row.cpu_ms
    result.void = result.void or (f"plain: {unprotected.void}" if unprotected.void else "")
    by_rate = statistics.median(load.rps / max(passed.rps, 1.0) for (load, _), (passed, _) in pairs)
    by_cpu = unprotected.row.cpu_ms / result.row.cpu_ms if result.row.cpu_ms else 0.0
    result.met = not result.void and min(by_rate, by_cpu) >= BAR
    result.beside |= {
        "rate_of_plain": round(by_rate, 3), "cpu_of_plain": round(by_cpu, 3), "plain_rps": unprotected.row.rps,
        "ended": ENDED, "said": f"{by_rate:.2f} × plain Envoy's rate, {by_cpu:.2f} by CPU",
    }  # fmt: skip
    return result


def _all_of(name: str, measured: list[tuple[Load, Cost]]) -> Result:
    """The slices of one side as one row."""
    loads = [load for load, _ in measured]
    whole = Load(
        units=sum(load.units for load in loads),
        bad=sum(load.bad for load in loads),
        seconds=sum(load.seconds for load in loads),
        latencies=sorted(ns for load in loads for ns in load.latencies),
        own_cpu=max(load.own_cpu for load in loads),
    )
    return result_of(name, whole, Cost(0.0, 0.0, sum(cost.gateway for _, cost in measured)), None)


def _measured(stage: Stage, headers: dict[str, str]) -> tuple[Load, Cost]:
    """A slice of a second: the two sides take turns, so that what else the machine does hits both. What is asked is
    looked at before and after, as wrk takes a redirect for good."""
    address = ("127.0.0.1", stage.site.port)
    _expect(stage, headers)
    clock = stage.clock((), stage.site.pids("gateway"))
    load = wrk.run(
        f"http://{address[0]}:{address[1]}{_PATH}",
        headers,
        connections=stage.options.connections,
        warm_up=0.0,
        seconds=1.0,
        opened=clock.read,
        closed=clock.read,
    )
    _expect(stage, headers)
    return load, clock.cost()


def _expect(stage: Stage, headers: dict[str, str]) -> None:
    answer = ask(("127.0.0.1", stage.site.port), request("GET", _PATH, headers))
    if answer.status != 200 or len(answer.body) != 1024:
        raise RuntimeError(f"{headers['host']} answers {answer.status} with {len(answer.body)} bytes")


async def _end_many(stage: Stage) -> None:
    connection = await stage.site.connect()
    try:
        await connection.execute(_END_MANY, ENDED)
    finally:
        await connection.close()


def _wait_until_published(stage: Stage) -> None:
    """One that is ended after them is refused at the gateway: then they stand on its list."""
    family, token = access_token(stage, openid=False)
    client = as_client(stage, stage.cast.client_of(family))
    revoked = ask(stage.auth_door, request("POST", "/revoke", client, form({"token": stage.deck.token(family)})))
    if revoked.status != 200:
        raise RuntimeError(f"/revoke answers {revoked.status}")
    host = stage.settings.app_origin.partition("://")[2]
    sent = request("GET", _PATH, {"host": host, "authorization": f"Bearer {token.decode()}"})
    end = time.monotonic() + _PUBLISHED_SECONDS
    while ask(("127.0.0.1", stage.site.port), sent).status == 200:
        if time.monotonic() > end:
            raise RuntimeError("the gateway still lets an ended session pass")
        time.sleep(0.05)  # the gateway tells nobody that it has read its list
