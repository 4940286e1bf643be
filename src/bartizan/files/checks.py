"""The files server is a resource server like any other: its tokens are checked by the guard's own policy."""

from __future__ import annotations

import asyncio
from uuid import UUID

from starlette.requests import Request

from bartizan.files.ports import Holder
from bartizan.files.settings import FilesSettings
from bartizan.guard.gate import Gate, Source
from bartizan.guard.policy import GuardRequest, Resource, RoutePolicy, Who
from bartizan.protocol.refusal import Refused
from bartizan.protocol.web import csrf


class GuardChecks:
    """`source`: `guard.keys.Watch(issuer, address=…)`, one for the process."""

    def __init__(self, settings: FilesSettings, source: Source) -> None:
        resource = Resource(
            issuer=settings.issuer, audience=settings.audience, app_origin=settings.app_origin, realm="files"
        )
        self._gate = Gate(resource, source)

    async def allow(self, request: Request, scope: str) -> Holder:
        asked = GuardRequest(
            method=request.method,
            authorization=tuple(request.headers.getlist("authorization")),
            origin=request.headers.get("origin"),
            sec_fetch_site=request.headers.get("sec-fetch-site"),
            csrf=request.headers.get(csrf.HEADER),
            content_type=request.headers.get("content-type", ""),
        )
        route = RoutePolicy(who=Who.SIGNED_IN, scopes=(scope,))
        # In a thread: keys may have to be fetched, from a server that may share this very event loop.
        grant = await asyncio.to_thread(self._gate.admit, route, asked)
        token = grant.token
        assert token is not None, "a signed-in route grants no anonymous request"
        try:
            return Holder(subject=UUID(token.sub), gid=UUID(token.gid))
        except ValueError:
            raise Refused("access_denied", "Files belong to people.", "the subject is no person", status=403) from None
