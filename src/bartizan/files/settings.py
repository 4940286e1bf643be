"""What the files server needs to know (design §1 row 5, flows §10)."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

MEGABYTE = 1024 * 1024

# What may be stored when nothing else is said. Each is served so that nothing in it can run (flows §10).
SAFE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp", "application/pdf", "text/plain")


class FilesSettings(Struct, frozen=True, kw_only=True):
    app_origin: str  # where the API answers, and who may read the links
    files_origin: str  # where the bytes are served
    issuer: str  # of the access tokens: the id origin
    audience: str  # of the access tokens: by default the app origin

    data_dir: Path  # objects and half uploads lie here, 0700
    read_scope: str = "files.read"
    write_scope: str = "files.write"

    allowed_types: tuple[str, ...] = SAFE_TYPES  # by content; others are refused
    max_bytes: int = 20 * MEGABYTE  # of one file
    quota_bytes: int = 500 * MEGABYTE  # of one person
    max_pixels: int = 40_000_000  # width × height × frames: what may be decoded
    uploads_at_once: int = 2  # images decoded at the same time
    link_seconds: int = 3600  # links hold for one to two of these: the end is rounded so that caches hit
    thumbnail_pixels: int = 480  # longest side
