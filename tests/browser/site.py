"""The running stack as a test sees it: addresses, people, the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Site:
    app: str
    id: str
    files: str
    inbox: str
    console: str
    printshop: str
    data: Path
    people: dict[str, str] = field(default_factory=dict)  # e-mail → password

    def cli(self, *words: str, stdin: str | None = None) -> dict[str, object]:
        """A `bartizan … --json` command against this instance."""
        done = subprocess.run(
            [sys.executable, "-m", "bartizan.stack.cli", *words, "--data", str(self.data), "--json"],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{words}: {done.stderr}\n{done.stdout}"
        value = json.loads(done.stdout)
        return value if isinstance(value, dict) else {"rows": value}
