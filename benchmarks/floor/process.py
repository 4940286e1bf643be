"""The floor as a child of the benchmark."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

_START_SECONDS = 15.0


class FloorProcess:
    def __init__(self, directory: Path, url: str) -> None:
        self.socket = directory / "floor.sock"
        command = [sys.executable, "-m", "benchmarks.floor", str(self.socket)]
        given = os.environ | {"BENCH_DATABASE_URL": url}
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=given)
        self._wait()

    def _wait(self) -> None:
        end = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise RuntimeError("the floor did not start")
            time.sleep(0.02)  # a socket tells nobody that it has come

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
