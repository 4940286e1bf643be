"""Flows §12: as which user it runs."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fixtures.stack import IMPORTS, Stack

pytestmark = pytest.mark.stack


def runs(python: str, uid: int) -> bool:
    try:
        # The very same release: packages are chosen by it.
        same = f"import sys, bartizan.stack.cli; sys.exit(sys.version_info[:3] != {sys.version_info[:3]})"
        words = [python, "-P", "-c", same]
        environment = {"PYTHONPATH": IMPORTS}
        done = subprocess.run(
            words, user=uid, group=uid, extra_groups=[], env=environment, capture_output=True, check=False
        )
    except OSError:
        return False
    return done.returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_it_runs_as_a_normal_user_too() -> None:
    uid = pwd.getpwnam("nobody").pw_uid  # initdb wants a user with a name
    home = Path("/tmp") / f"bz-test-{os.getpid()}"
    system = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    python = next((path for path in (sys.executable, system) if runs(path, uid)), None)
    if python is None:
        pytest.skip("every interpreter of this release lies where only root may enter")
    home.mkdir(mode=0o700)
    os.chown(home, uid, uid)
    stack = Stack(home / "data", uid=uid, python=python)
    try:
        stack.start()
        pids = [pid for row in stack.status()["servers"] for pid in row["pids"]]
        assert {Path(f"/proc/{pid}").stat().st_uid for pid in pids} == {uid}
    finally:
        stack.stop()
        shutil.rmtree(home)


@pytest.mark.skipif(os.geteuid() != 0, reason="is about root")
def test_started_by_root_no_engine_runs_as_root(stack: Stack) -> None:
    uids = {Path(f"/proc/{pid}").stat().st_uid for name in ("database", "cache") for pid in stack.server(name)["pids"]}
    assert 0 not in uids
    envoy = max(stack.server("gateway")["pids"])
    names = {pid: Path(f"/proc/{pid}/comm").read_text().strip() for pid in stack.server("gateway")["pids"]}
    assert [Path(f"/proc/{pid}").stat().st_uid != 0 for pid, name in names.items() if name == "envoy"] == [True], envoy
