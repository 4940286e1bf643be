"""Flows §7: an operator ends half of all sessions at once. All of them are refused in time, and nobody else is signed
out: the others renew, if under another key. With `--families 200000` these are 100,000."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

from benchmarks.figures import Result, Row
from benchmarks.generator import ask
from benchmarks.rows.ended import BAR_SECONDS, Trial, doors, signed_in
from benchmarks.rows.guards import Resource
from benchmarks.stage import Stage
from benchmarks.wire import request

WATCHED = 20  # of those that are ended, and as many of the others
_GIVE_UP = 15.0


class _Operator:
    """`bartizan session end-all --before YESTERDAY`, as typed; `at`: when its transaction could be seen."""

    def __init__(self, stage: Stage, one: int) -> None:
        self._stage = stage
        self._session = stage.cast.session_id(stage.cast.session_of(one))
        self.at = 0.0
        self.said: dict[str, Any] = {}
        self._running = Thread(target=self._run)

    def start(self) -> None:
        self._running.start()

    def join(self) -> None:
        self._running.join()

    def _run(self) -> None:
        before = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
        done = subprocess.run(
            [sys.executable, "-P", "-m", "bartizan.stack.cli", "session", "end-all", "--before", before, "--yes",
             "--json", "--data", str(self._stage.site.data)],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        self.said = json.loads(done.stdout) if done.returncode == 0 else {"failed": done.stderr.strip()[-300:]}

    def wait_for_commit(self) -> None:
        """Raises RuntimeError when the command ends without one."""

        async def look() -> None:
            connection = await self._stage.site.connect()
            try:
                while self._running.is_alive() or self.said.get("sessions_ended"):
                    if await connection.fetchval("SELECT ended_at FROM sessions WHERE id = $1", self._session):
                        self.at = time.monotonic()
                        return
                    await asyncio.sleep(0.002)  # how fine the beginning is known
            finally:
                await connection.close()

        asyncio.run(look())
        if not self.at:
            raise RuntimeError(f"nothing was ended: {self.said}")


def ended_many(stage: Stage) -> Result:
    resource = Resource(stage)
    ending, staying = _watched(stage, resource)
    operator = _Operator(stage, ending[0].family)
    operator.start()
    operator.wait_for_commit()
    open_doors = {
        (number, where): refused
        for number, trial in enumerate(ending)
        for where, refused in doors(stage, resource, trial).items()
    }
    lags = _until_refused(open_doors, operator.at)
    operator.join()
    worst = max(lags.values())
    signed_out = sum(not _goes_on(stage, resource, trial) for trial in staying)
    resource.stop()
    by_door = {where: round(max(lag for (_, one), lag in lags.items() if one == where), 3) for _, where in lags}
    return Result(
        row=Row(name="ended_many", p99_ms=round(worst * 1000, 1), bar=BAR_SECONDS * 1000),
        met=worst <= BAR_SECONDS and not signed_out,
        beside={
            "worst_seconds": by_door, "operator": operator.said, "watched": len(ending), "others": len(staying),
            "others_signed_out": signed_out,
            "said": f"{operator.said.get('sessions_ended')} ended: worst {worst:.2f} s of {BAR_SECONDS:g} s;"
            f" {signed_out} of {len(staying)} others signed out",
        },
    )  # fmt: skip


def _watched(stage: Stage, resource: Resource) -> tuple[list[Trial], list[Trial]]:
    """Half of them old, half young."""
    found: dict[bool, list[Trial]] = {True: [], False: []}
    while min(len(trials) for trials in found.values()) < WATCHED:
        family = stage.deck.draw()
        trials = found[stage.cast.is_old(stage.cast.session_of(family))]
        if len(trials) < WATCHED:
            trials.append(signed_in(stage, resource, family))
    return found[True], found[False]


def _until_refused(open_doors: dict[tuple[int, str], Callable[[], bool]], begun: float) -> dict[tuple[int, str], float]:
    lags: dict[tuple[int, str], float] = {}
    while open_doors and time.monotonic() - begun < _GIVE_UP:
        for key, refused in list(open_doors.items()):
            if refused():
                lags[key] = time.monotonic() - begun
                del open_doors[key]
    return lags | dict.fromkeys(open_doors, _GIVE_UP)


def _goes_on(stage: Stage, resource: Resource, trial: Trial) -> bool:
    """Its refresh token is good, and gateway and guard take what it gives: at once, or when they know the key."""
    answer = ask(stage.auth_door, trial.chain.again())
    token = answer.text(b"access_token")
    if token is None or trial.chain.next_request(answer) is None:
        return False
    host = stage.settings.app_origin.partition("://")[2]
    sent = request("GET", "/api/thing", {"host": host, "authorization": f"Bearer {token.decode()}"})
    end = time.monotonic() + BAR_SECONDS
    while time.monotonic() < end:
        if ask(("127.0.0.1", stage.site.port), sent).status == 200 and resource.status(token.decode()) == 200:
            return True
        time.sleep(0.05)  # readers learn of a key by their feed
    return False
