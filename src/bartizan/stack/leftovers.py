"""Flows §12: what a killed run left is stopped by the next one, by pid and start time, never by name."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from bartizan.stack.home import Home, Mark, alive, boot_id

_PATIENCE = 3.0


def settle(home: Home) -> str:
    """Stops what an earlier run left. Gives a sentence for the operator, or "". The lock must be held."""
    run = home.run()
    if run is None:
        return ""
    found = [mark for mark in run.children if alive(mark)] if run.boot == boot_id() else []
    for mark in found:
        # PostgreSQL: "fast", not "when all have gone"; the others take both alike.
        _send(mark, signal.SIGINT if mark.name == "database" else signal.SIGTERM)
    end = time.monotonic() + _PATIENCE
    while any(alive(mark) for mark in found) and time.monotonic() < end:
        time.sleep(0.02)  # waits for processes that are not our children: there is nothing to be woken by
    for mark in found:
        if alive(mark):
            _send(mark, signal.SIGKILL)
    home.write_run(None)
    if found:
        return f"An earlier run was killed and left {len(found)} of its servers; they were stopped."
    return "An earlier run ended without stopping cleanly; nothing of it was lost."


def _send(mark: Mark, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(mark.pid, number)
