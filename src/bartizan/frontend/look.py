"""The look of the BFF's own pages, served under `/bff/static`, as the app origin has no other of our paths."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from bartizan.frontend.ports import FrontendPorts
from bartizan.frontend.settings import FrontendSettings
from bartizan.web.pages import LOOK, Pages, Site
from bartizan.web.static import Static

TEMPLATES = Path(__file__).parent / "templates"


@cache
def look() -> Static:
    """Read and hashed once a process; it never changes under us."""
    return Static(LOOK, prefix="/bff/static")


def pages(settings: FrontendSettings, ports: FrontendPorts) -> Pages:
    site = Site(settings.site_name, settings.app_origin, "/", kind="")
    return Pages(site, look(), TEMPLATES, clock=ports.clock)
