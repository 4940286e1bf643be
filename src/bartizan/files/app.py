"""Server 5 put together: the API on the app origin, and the links on the files origin."""

from __future__ import annotations

from starlette.types import ASGIApp

from bartizan.files.ports import FilesPorts
from bartizan.files.routes import routes
from bartizan.files.settings import FilesSettings
from bartizan.web.headers import always
from bartizan.web.mount import mount


def build(settings: FilesSettings, ports: FilesPorts) -> ASGIApp:
    https = settings.app_origin.startswith("https:")
    return mount(routes(settings, ports), server="files", headers=always(https=https), meter=ports.meter)
