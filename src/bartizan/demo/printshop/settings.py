"""What the print shop is told: by environment variables, as any app is."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class Settings(Struct, frozen=True, kw_only=True):
    origin: str  # PRINTSHOP_ORIGIN: "http://print.localhost:8080", where the browser sees it
    issuer: str  # PRINTSHOP_ISSUER: the id origin of Snapshots
    api: str  # PRINTSHOP_API: the app origin of Snapshots
    files: str  # PRINTSHOP_FILES: the files origin, whose pictures its pages show
    client_id: str  # PRINTSHOP_CLIENT_ID
    client_secret: str  # PRINTSHOP_CLIENT_SECRET
    scope: str  # PRINTSHOP_SCOPE

    @property
    def account(self) -> str:
        """Where a person ends the access."""
        return f"{self.issuer}/account#apps"


def read(environment: Mapping[str, str]) -> Settings:
    return Settings(
        origin=environment["PRINTSHOP_ORIGIN"],
        issuer=environment["PRINTSHOP_ISSUER"],
        api=environment["PRINTSHOP_API"],
        files=environment.get("PRINTSHOP_FILES", ""),
        client_id=environment.get("PRINTSHOP_CLIENT_ID", "printshop"),
        client_secret=environment["PRINTSHOP_CLIENT_SECRET"],
        scope=environment.get("PRINTSHOP_SCOPE", "openid profile photos.read offline_access"),
    )
