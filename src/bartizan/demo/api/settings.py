"""What Snapshots is told: by environment variables, as any app is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct


class Settings(Struct, frozen=True, kw_only=True):
    issuer: str  # SNAPSHOTS_ISSUER: the id origin
    app_origin: str  # SNAPSHOTS_APP_ORIGIN: where the browser sees this app
    audience: str  # SNAPSHOTS_AUDIENCE; absent: the app origin
    print_origin: str  # SNAPSHOTS_PRINT_ORIGIN: whose page may read one route; absent: nobody's
    data: Path  # SNAPSHOTS_DATA
    unsafe_titles: bool = False  # SNAPSHOTS_UNSAFE_TITLES=1: the hole of the test build, for the CSP story


def read(environment: Mapping[str, str]) -> Settings:
    app_origin = environment["SNAPSHOTS_APP_ORIGIN"]
    return Settings(
        issuer=environment["SNAPSHOTS_ISSUER"],
        app_origin=app_origin,
        audience=environment.get("SNAPSHOTS_AUDIENCE") or app_origin,
        print_origin=environment.get("SNAPSHOTS_PRINT_ORIGIN", ""),
        data=Path(environment["SNAPSHOTS_DATA"]),
        unsafe_titles=environment.get("SNAPSHOTS_UNSAFE_TITLES") == "1",
    )
