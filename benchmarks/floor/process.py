"""The floor's programs as children of the benchmark."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.generator import dial

_START_SECONDS = 15.0


class FloorProcess:
    """One of them: started, waited for, stopped. `address`: where it answers."""

    def __init__(self, module: str, address: Path | tuple[str, int], environment: dict[str, str]) -> None:
        self.address = address
        where = str(address) if isinstance(address, Path) else str(address[1])
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, where], stdin=subprocess.DEVNULL, env=os.environ | environment
        )
        self._wait(module)

    def _wait(self, module: str) -> None:
        end = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise RuntimeError(f"{module} did not start")
            time.sleep(0.02)  # a socket tells nobody that it has come

    def _answers(self) -> bool:
        try:
            dial(self.address).close()
        except OSError:
            return False
        return True

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


def floors(directory: Path, database_url: str, scalar: int, number: int) -> FloorProcess:
    """`scalar`: of the private key."""
    environment = {"BENCH_DATABASE_URL": database_url, "BENCH_SCALAR": str(scalar)}
    return FloorProcess("benchmarks.floor", directory / f"floor-{number}.sock", environment)


def upstream(port: int) -> FloorProcess:
    return FloorProcess("benchmarks.floor.upstream", ("127.0.0.1", port), {})
