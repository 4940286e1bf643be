"""Security requirements §6, X32 in short: all of it at once at random, and no invariant breaks.

BARTIZAN_SOAK_SEED is a replay. The long form is `make soak MINUTES=n`.
"""

from __future__ import annotations

import os

import pytest
from tests.soak.run import Settings, say, soak, told

pytestmark = pytest.mark.soak

SECONDS = 20.0


def test_half_a_minute_of_everything() -> None:
    given = os.environ.get("BARTIZAN_SOAK_SEED")
    settings = Settings(seconds=SECONDS, seed=int(given) if given else int.from_bytes(os.urandom(4)))
    say(f"seed {settings.seed}")
    report = soak(settings, say)
    text = f"{told(report)}\nto run it again: {settings.replay}"
    print(text)
    assert report.fine, text
    assert len(report.events) >= 2, text
    silent = [name for name, check in report.checks.items() if not check["looked"] and name != "flat"]
    assert not silent, f"nobody looked at {silent}"
