"""`--profile`: py-spy on the web process during a window: collapsed stacks of Python, which flame graph tools read, and
a picture of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import flame

# Samples a second. The process stands still for each, so stacks are whole, and the row's own figures worth little.
_RATE = 250
_LAG_SECONDS = 20.0


class Profiler:
    def __init__(self, directory: Path, stem: str) -> None:
        directory.mkdir(exist_ok=True)
        self._directory = directory
        self._stem = stem
        self._name = ""
        self._running: subprocess.Popen[bytes] | None = None
        self.written: list[Path] = []

    def arm(self, name: str) -> None:
        self._name = name

    def start(self, pids: Sequence[int], seconds: float) -> None:
        """On the first of them. It stops by itself, after the window."""
        out = self._directory / f"{self._stem}-{self._name}.collapsed"
        program = Path(sys.executable).with_name("py-spy")
        if not program.exists():
            raise RuntimeError("--profile needs py-spy, which the dev extra brings: install requirements/dev.lock")
        self._running = subprocess.Popen(
            [
                str(program), "record", "--pid", str(pids[0]), "--format", "raw", "--rate", str(_RATE),
                "--duration", str(max(1, round(seconds))), "--output", str(out),
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.written.append(out)

    def finish(self) -> None:
        if self._running is None:
            return
        running, self._running = self._running, None
        _, said = running.communicate(timeout=_LAG_SECONDS)
        if running.returncode != 0:
            self.written.pop()
            raise RuntimeError(f"py-spy failed: {said.decode(errors='replace').strip()[-300:]}")
        self._draw(self.written[-1])

    def _draw(self, collapsed: Path) -> None:
        picture = collapsed.with_suffix(".svg")
        picture.write_text(flame.drawn(collapsed.read_text(), f"{self._name}: the Python of the web process"))
        self.written.append(picture)
