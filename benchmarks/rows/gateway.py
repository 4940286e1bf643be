"""The gateway's whole chain before a protected route, beside the same Envoy passing the same request on untouched."""

from __future__ import annotations

import asyncio
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
    load, cost = _measured(stage, headers)
    plain = headers | {"host": f"plain.localhost:{stage.site.port}"}
    plain_load, plain_cost = _measured(stage, plain)
    result = result_of("gateway", load, cost, None)
    unprotected = result_of("gateway plain", plain_load, plain_cost, None)
    result.row.bar, result.row.floor_cpu_ms = BAR, unprotected.row.cpu_ms
    result.void = result.void or (f"plain: {unprotected.void}" if unprotected.void else "")
    by_rate = load.rps / plain_load.rps if plain_load.rps else 0.0
    by_cpu = unprotected.row.cpu_ms / result.row.cpu_ms if result.row.cpu_ms else 0.0
    result.met = not result.void and min(by_rate, by_cpu) >= BAR
    result.beside |= {
        "rate_of_plain": round(by_rate, 3), "cpu_of_plain": round(by_cpu, 3), "plain_rps": unprotected.row.rps,
        "ended": ENDED, "said": f"{by_rate:.2f} × plain Envoy's rate, {by_cpu:.2f} by CPU",
    }  # fmt: skip
    return result


def _measured(stage: Stage, headers: dict[str, str]) -> tuple[Load, Cost]:
    """What is asked is looked at before and after, as wrk takes a redirect for good."""
    address = ("127.0.0.1", stage.site.port)
    _expect(stage, headers)
    clock = stage.clock((), stage.site.pids("gateway"))
    load = wrk.run(
        f"http://{address[0]}:{address[1]}{_PATH}",
        headers,
        connections=stage.options.connections,
        warm_up=stage.options.warm_up,
        seconds=stage.options.seconds,
        opened=clock.read,
        closed=clock.read,
    )
    _expect(stage, headers)
    return load, Cost(0.0, 0.0, clock.cost().gateway)  # an idle database beside it is not the chain's


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
