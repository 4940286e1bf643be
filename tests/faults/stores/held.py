"""What the tests of this room hold to be true, each named after its invariant (security requirements §6)."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults import steps
from tests.fixtures.nodes import HOOK, Answer, Node, Site

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
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
