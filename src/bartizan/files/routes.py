"""The files server's endpoints: the API on the app origin, links on the files origin."""

from __future__ import annotations

from bartizan.files import links
from bartizan.files.api import Api
from bartizan.files.objects import Objects
from bartizan.files.ports import FilesPorts
from bartizan.files.serve import Serve
from bartizan.files.settings import FilesSettings
from bartizan.model.route import Origin, Route, Who

_UPLOAD_SECONDS = 600


def routes(settings: FilesSettings, ports: FilesPorts) -> tuple[Route, ...]:
    objects = Objects(settings.data_dir)
    api, serve = Api(settings, ports, objects), Serve(settings, ports, objects)
    read, write = settings.read_scope, settings.write_scope
    return (
        Route(
            methods=("POST",),
            path="/files",
            endpoint=api.upload,
            body_limit=settings.max_bytes,
            timeout=_UPLOAD_SECONDS,
            stream=True,
            who=Who.TOKEN,
            origin=Origin.APP,
            scope=write,
        ),
        Route(methods=("GET",), path="/files", endpoint=api.list, who=Who.TOKEN, origin=Origin.APP, scope=read),
        Route(
            methods=("GET",),
            path="/files/{file_id}/link",
            endpoint=api.link,
            who=Who.TOKEN,
            origin=Origin.APP,
            scope=read,
        ),
        Route(
            methods=("DELETE",),
            path="/files/{file_id}",
            endpoint=api.delete,
            who=Who.TOKEN,
            origin=Origin.APP,
            scope=write,
        ),
        Route(
            methods=("GET",),
            path=links.PATH,
            endpoint=serve,
            who=Who.ANYONE,
            origin=Origin.FILES,
            timeout=_UPLOAD_SECONDS,
        ),
        Route(methods=("OPTIONS",), path=links.PATH, endpoint=serve.preflight, who=Who.ANYONE, origin=Origin.FILES),
    )
