"""`python -m bartizan.demo.api.plant`: the photos that the demo begins with, as JSON lines on standard input."""

from __future__ import annotations

import os
import sys
from uuid import UUID

import msgspec

from bartizan.demo.api.photos import Photos
from bartizan.demo.api.settings import read


class Planted(msgspec.Struct, forbid_unknown_fields=True):
    owner: str
    title: str
    file_id: UUID


if __name__ == "__main__":
    photos = Photos(read(os.environ).data / "photos.sqlite")
    for line in sys.stdin.buffer:
        planted = msgspec.json.decode(line, type=Planted)
        photos.add(planted.owner, planted.title, planted.file_id)
