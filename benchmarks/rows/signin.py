"""Signing in by password, alone and as a herd. The page's own form, its cookie and its hidden field, as a browser's."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher

from bartizan.auth.passwords import PasswordPool
from benchmarks import cast
from benchmarks.figures import Load, Result, result_of
from benchmarks.generator import Group, Walker, ask
from benchmarks.processes import cpu_seconds, pss_bytes, stepped_back_seconds
from benchmarks.rows.fixed import client_credentials_walkers
from benchmarks.rows.refresh import Chain
from benchmarks.stage import Stage
from benchmarks.wire import FORM, Answer, form, request

OVER_THE_HASH_MS = 1.5
KEPT = 0.8  # of the hot paths' rate, while the herd waits
AT_ONCE = 8  # sign-ins of the row: more than the pool's threads, fewer than it lets wait
HERD = 200
_FIELD = re.compile(rb'name="csrf" value="([A-Za-z0-9_-]+)"')
_LONGEST_WAIT = 5.0


class SignIn:
    """Another person from another address each time. `told_later`: an answer that says when to come again is good."""

    fresh = True

    def __init__(self, stage: Stage, *, told_later: bool = False) -> None:
        self._stage = stage
        self._told_later = told_later
        self.pause = 0.0
        self._cookie, self._csrf = _form_of(stage)

    def begin(self) -> bytes:
        stage = self._stage
        origin = stage.settings.issuer
        fields = {
            "csrf": self._csrf,
            "next": "",
            "identifier": stage.cast.email(stage.dice.randrange(stage.cast.users)),
            "password": cast.PASSWORD,
        }
        headers = stage.headers(origin) | {
            "cookie": self._cookie, "origin": origin, "sec-fetch-site": "same-origin", "content-type": FORM,
        }  # fmt: skip
        return request("POST", "/signin", headers, form(fields))

    def next_request(self, answer: Answer) -> bytes | None:
        self.pause = 0.0
        if answer.status == 303 and b"-sso=" in answer.head:
            return self.begin()
        after = answer.header(b"retry-after")
        if not self._told_later or answer.status not in (429, 503) or after is None or not after.isdigit():
            return None
        self.pause = min(float(after), _LONGEST_WAIT)
        return self.begin()


def sign_in(stage: Stage) -> Result:
    """The hash is told apart by its own threads' clock, in the same window: beside other work it takes another time
    than alone. What these threads do besides, to take a hash up and to hand it back, is none of it: that is measured
    on the product's own pool. What earlier rows left the database to tidy up is done first: fifty sign-ins a second do
    not hide it.
    """
    alone, handing = _hash_ms(stage.options.seconds), asyncio.run(_handing_ms())
    asyncio.run(_tidied(stage))
    walkers, servers = [SignIn(stage) for _ in range(AT_ONCE)], stage.site.pids("auth")
    hashed, all_ = stepped_back_seconds(servers), cpu_seconds(servers)
    result = stage.product("sign_in", walkers, None)
    share = (stepped_back_seconds(servers) - hashed) / (cpu_seconds(servers) - all_)
    row, hash_ms = result.row, result.row.cpu_server_ms * share - handing
    row.floor_cpu_ms, row.bar = round(hash_ms, 3), round(hash_ms + OVER_THE_HASH_MS, 3)
    result.met = not result.void and row.cpu_ms <= row.bar
    over = round(row.cpu_ms - hash_ms, 3)
    result.beside |= {
        "connections": AT_ONCE,
        "hash_alone_ms": round(alone, 3),
        "handing_ms": round(handing, 3),
        "over_the_hash_ms": over,
    }
    result.beside["said"] = f"{over:+.2f} ms over the hash; alone, two at a time, it takes {alone:.1f}"
    return result


async def _tidied(stage: Stage) -> None:
    connection = await stage.site.connect()
    try:
        await connection.execute("VACUUM (ANALYZE)")
    finally:
        await connection.close()


def sign_in_herd(stage: Stage) -> Result:
    """Refresh and client_credentials alone, then the same while 200 people sign in, who come again when they are told
    to. The row is the hot paths' under the herd."""
    half = max(1, stage.options.connections // 2)
    servers = stage.site.pids("auth")
    (alone, alone_too), _ = stage.load("sign_in_herd-alone", _hot(stage, half), servers=servers)
    before = pss_bytes(servers)
    herd = Group(stage.auth_doors, [SignIn(stage, told_later=True) for _ in range(HERD)])
    peak = _Peak(servers)
    with peak:
        loads, cost = stage.load(
            "sign_in_herd", [*_hot(stage, half), herd], servers=servers, seconds=stage.options.seconds * 2
        )
    hot, hot_too, waiting = loads
    both = _sum(hot, hot_too)
    result = result_of("sign_in_herd", both, cost, None)
    result.row.bar = KEPT
    result.row.bad += waiting.bad
    if waiting.bad:
        result.void = f"{result.row.bad} bad answers"
    kept = both.rps / _sum(alone, alone_too).rps
    result.met = not result.void and kept >= KEPT
    result.beside |= {
        "kept_of_the_hot_rate": round(kept, 3),
        "kept_refresh": round(hot.rps / alone.rps, 3) if alone.rps else None,
        "kept_client_credentials": round(hot_too.rps / alone_too.rps, 3) if alone_too.rps else None,
        "sign_ins_per_second": round(waiting.counted.get("303", 0) / waiting.seconds, 1),
        "herd_statuses": waiting.counted,
        "pss_before_mb": round(before / 1e6),
        "pss_peak_mb": round(peak.most / 1e6),
        "said": f"kept {kept:.2f} of the hot rate; PSS {before / 1e6:.0f} → {peak.most / 1e6:.0f} MB",
    }
    return result


def _hot(stage: Stage, half: int) -> list[Group]:
    chains: list[Walker] = [Chain(stage) for _ in range(half)]
    return [Group(stage.auth_doors, chains), Group(stage.auth_doors, client_credentials_walkers(stage, half))]


def _sum(one: Load, other: Load) -> Load:
    return Load(
        units=one.units + other.units,
        bad=one.bad + other.bad,
        seconds=one.seconds,
        latencies=sorted(one.latencies + other.latencies),
        own_cpu=one.own_cpu,
        counted={
            status: one.counted.get(status, 0) + other.counted.get(status, 0) for status in one.counted | other.counted
        },
    )


def _form_of(stage: Stage) -> tuple[str, str]:
    """The form's cookie and its hidden field: one browser's, good for as many posts as it likes."""
    page = ask(stage.auth_door, request("GET", "/signin", stage.headers(stage.settings.issuer)))
    cookie, field = page.header(b"set-cookie"), _FIELD.search(page.body)
    if page.status != 200 or cookie is None or field is None:
        raise RuntimeError(f"no sign-in form: {page.status}")
    return cookie.partition(b";")[0].decode(), field[1].decode()


def _hash_ms(seconds: float) -> float:
    """argon2id alone, two at a time as in the product's pool: CPU-ms a verification."""
    hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=16)
    made = hasher.hash(cast.PASSWORD)
    end = time.monotonic() + seconds

    def verify() -> int:
        count = 0
        while time.monotonic() < end:
            hasher.verify(made, cast.PASSWORD)
            count += 1
        return count

    before = time.process_time()
    with ThreadPoolExecutor(2) as pool:
        done = sum(pool.map(lambda _: verify(), range(2)))
    return (time.process_time() - before) * 1000 / done


async def _handing_ms() -> float:
    """What a thread of the product's pool takes for each hash beside argon2 itself."""
    hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=16)
    made, pool, hashes = hasher.hash(cast.PASSWORD), PasswordPool(1), 40
    inside: list[tuple[float, float]] = []

    def verify() -> None:
        begun = time.thread_time()
        hasher.verify(made, cast.PASSWORD)
        inside.append((begun, time.thread_time()))

    try:
        for _ in range(hashes):
            await pool._run(verify)  # its own way in, with a hash that says what it took
    finally:
        pool.close()
    whole = inside[-1][0] - inside[0][0]
    return (whole - sum(end - begun for begun, end in inside[:-1])) * 1000 / (hashes - 1)


class _Peak:
    """The largest PSS while it watches, looked at four times a second."""

    def __init__(self, pids: list[int]) -> None:
        self._pids = pids
        self._over = threading.Event()
        self._watching = threading.Thread(target=self._watch)
        self.most = 0

    def __enter__(self) -> None:
        self._watching.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watching.join()

    def _watch(self) -> None:
        while not self._over.wait(0.25):
            self.most = max(self.most, pss_bytes(self._pids))
