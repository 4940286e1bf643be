"""The few decisions that Envoy has no filter for, as Lua (package data in `lua/`), with the site's names filled in."""

from __future__ import annotations

from importlib.resources import files

from bartizan.gateway.settings import GatewaySettings
from bartizan.protocol.web import cookies, origins

AUTHORITY, PUBLIC, KEPT = "authority", "public", "kept"
PREFLIGHT, TOO_LARGE = "preflight", "too_large"


def cookie_script(settings: GatewaySettings, which: str) -> str:
    """One of the ways to treat our cookies."""
    return _read("cookies") + _filled(settings, _read(which)) + _read("closed")


def gate(settings: GatewaySettings, replayable_bytes: int) -> str:
    return _filled(settings, _read("gate")).replace("@replayable@", str(replayable_bytes)) + _read("closed")


def location() -> str:
    return _read("location")


def _read(name: str) -> str:
    return files("bartizan.gateway").joinpath("lua", f"{name}.lua").read_text("utf-8")


def _filled(settings: GatewaySettings, script: str) -> str:
    # Both values were parsed, so neither can end a Lua string.
    app = str(origins.parse(settings.app_origin))
    prefix = cookies.names(settings.app_origin).at.removesuffix("-at")
    return script.replace("@prefix@", prefix).replace("@app_origin@", app).replace("@mode@", settings.mode)
