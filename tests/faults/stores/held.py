"""What the tests of this room hold to be true, each named after its invariant (security requirements §6)."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest
from tests.faults import steps
from tests.fixtures.nodes import HOOK, Node, Site
from tests.fixtures.stack import free_port
from tests.fixtures.wire import Answer

from bartizan.model.job import Job

Mutant = tuple[dict[str, str], ...]

RECOVERY = 10.0  # I9: seconds after the fault is gone


def claims(access_token: str) -> dict[str, object]:
    """Of a token that we got ourselves: only read, not checked."""
    middle = access_token.split(".")[1]
    found: dict[str, object] = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    return found


def i7_audited(site: Site, answers: list[Answer]) -> None:
    """No token without its audit row: each redeemed code has exactly one `token.issued` of its family."""
    for answer in answers:
        assert answer.status == 200, answer
        gid = claims(str(answer.json()["access_token"]))["gid"]
        found = steps.rows(site, "SELECT count(*) AS n FROM events WHERE code = 'token.issued' AND gid = $1::uuid", gid)
        assert found[0]["n"] == 1, f"token of {gid} has {found[0]['n']} audit rows"


def i4_still_refused(node: Node, access_token: str, refresh_token: str) -> None:
    """What was revoked stays refused, whatever is broken: inactive, or 503, never a pass."""
    said = steps.introspect(node, access_token)
    assert said.status == 503 or said.json() == {"active": False}, said
    assert steps.userinfo(node, access_token).status in (401, 503)
    assert steps.refreshed(node, refresh_token).status in (400, 503)


def i8_no_secret_in(files: list[Path], secrets: list[str]) -> None:
    for file in files:
        if file.is_file():
            text = file.read_bytes()
            assert not [secret for secret in secrets if secret.encode() in text], f"a secret lies in {file}"


def i9_recovers(well: Callable[[], bool], seconds: float = RECOVERY) -> float:
    """Alone, within ten seconds. Gives how long it took."""
    begun = time.monotonic()
    while not well():
        assert time.monotonic() - begun < seconds, f"not well again after {seconds} s"
        time.sleep(0.05)  # a question asked again: nobody announces that it is well
    return time.monotonic() - begun


def mutant(module: str, before: str, after: str) -> Mutant:
    """A protection taken out, as the hook wants to hear it."""
    return ({"module": module, "before": before, "after": after},)


def program(text: str, *words: str, mutant: Mutant = (), environment: dict[str, str] | None = None) -> str:
    """What a program of ours prints, in a process of its own, where the hook can reach it."""
    given = os.environ | {"PYTHONPATH": os.pathsep.join([str(HOOK), str(HOOK.parents[2])])} | (environment or {})
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        if mutant:
            file.write(json.dumps(mutant))
            file.flush()
            given["BARTIZAN_MUTANT"] = file.name
        done = subprocess.run(
            [sys.executable, "-P", "-c", text, *words],
            env=given, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 0, f"ended with {done.returncode}: {done.stderr}"
    return done.stdout.strip()


@contextmanager
def small_disk(at: Path, size: int) -> Iterator[None]:
    """A tmpfs over `at`, empty and of so many bytes. Skips where the kernel lets us mount none."""
    at.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(at)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(at)], check=True)


def enqueue(site: Site, kind: str, details: list[dict[str, str]], payload: bytes | None = None) -> None:
    """Jobs past their servers. `payload`: what no server of ours would write."""
    made = [Job(id=uuid4(), kind=kind, detail=detail) for detail in details]
    written = [msgspec.json.encode(job) if payload is None else payload for job in made]
    steps.rows(
        site,
        "SELECT FROM job_enqueue($1, $2, $3, $4, $5, $6) AS made (ord bigint, id bigint)",
        [0] * len(made), [kind] * len(made), written, [timedelta(0)] * len(made), [str(job.id) for job in made],
        ["null"] * len(made),
    )  # fmt: skip


def killed(text: str, *words: str, failpoint: str, mutant: Mutant = ()) -> None:
    """A program of ours that must end there as by kill -9."""
    with pytest.raises(AssertionError, match=r"ended with -9"):
        program(text, *words, mutant=mutant, environment={"BARTIZAN_FAILPOINT": failpoint})


def up_refused(data: Path, mutant: Mutant = ()) -> tuple[str, int]:
    """What a further `bartizan up` says and ends with; 0 when it runs for some seconds, for then it did not refuse."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        given = dict(os.environ)
        if mutant:
            file.write(json.dumps(mutant))
            file.flush()
            given |= {"PYTHONPATH": str(HOOK), "BARTIZAN_MUTANT": file.name}
        running = subprocess.Popen(
            [sys.executable, "-P", "-m", "bartizan.stack.cli", "up", "--data", str(data), "--port", str(free_port())],
            env=given, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        try:
            said, _ = running.communicate(timeout=6)
        except subprocess.TimeoutExpired:
            running.terminate()
            said, _ = running.communicate(timeout=10)
            return said, 0
    return said, running.returncode
