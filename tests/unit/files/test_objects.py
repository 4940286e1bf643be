"""Where uploads lie: other users of the machine do not read them, whatever folder the operator gave (V8, I8)."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from uuid import UUID

from bartizan.files.links import Variant
from bartizan.files.objects import Objects


def test_a_folder_open_to_all_shows_nobody_what_is_uploaded(tmp_path: Path) -> None:
    given = tmp_path / "uploads"
    given.mkdir()
    given.chmod(0o755)
    (given / "objects").mkdir(mode=0o755)
    objects = Objects(given)
    asyncio.run(objects.put(UUID(int=7), Variant.ORIGINAL, b"a picture"))
    assert asyncio.run(objects.read(UUID(int=7), Variant.ORIGINAL)) == b"a picture"
    closed = {path.name: stat.S_IMODE(path.stat().st_mode) & 0o077 for path in (given / "objects", objects.half)}
    assert closed == {"objects": 0, "half": 0}
    assert stat.S_IMODE(given.stat().st_mode) == 0o755, "the operator's own folder stays as it is"
