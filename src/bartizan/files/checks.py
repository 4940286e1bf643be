"""The files server is a resource server like any other: its tokens are checked by the guard's own policy."""

from __future__ import annotations

from uuid import UUID

from starlette.requests import Request

from bartizan.files.ports import Holder
from bartizan.files.settings import FilesSettings
from bartizan.guard.asgi import guard_request
from bartizan.guard.gate import Gate, Source
from bartizan.guard.policy import Resource, RoutePolicy, Who
from bartizan.protocol.refusal import Refused


class GuardChecks:
    """`source`: `guard.keys.Watch(issuer, address=…)`, one for the process."""

    def __init__(self, settings: FilesSettings, source: Source) -> None:
        resource = Resource(
            issuer=settings.issuer, audience=settings.audience, app_origin=settings.app_origin, realm="files"
        )
        self._gate = Gate(resource, source)

    async def allow(self, request: Request, scope: str) -> Holder:
        route = RoutePolicy(who=Who.SIGNED_IN, scopes=(scope,))
        grant = await self._gate.admit_async(route, guard_request(request.scope))
        token = grant.token
        assert token is not None, "a signed-in route grants no anonymous request"
        try:
            return Holder(subject=UUID(token.sub), gid=UUID(token.gid))
        except ValueError:
            raise Refused("access_denied", "Files belong to people.", "the subject is no person", status=403) from None
