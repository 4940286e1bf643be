"""Whose request an event tells of: id and address, taken from HTTP once, so that grants need not know HTTP."""

from __future__ import annotations

from uuid import UUID

from msgspec import Struct
from starlette.requests import Request

from bartizan.model.event import Event
from bartizan.web import caller


class Trace(Struct, frozen=True):
    request_id: str
    address: str  # in memory only: the store keeps a keyed hash of it

    def event(
        self,
        code: str,
        *,
        user_id: UUID | None = None,
        client_id: str | None = None,
        session_id: UUID | None = None,
        gid: UUID | None = None,
        detail: dict[str, str] | None = None,
    ) -> Event:
        return Event(
            code=code,
            user_id=user_id,
            client_id=client_id,
            session_id=session_id,
            gid=gid,
            request_id=self.request_id,
            address=self.address,
            detail=detail or {},
        )


def of(request: Request) -> Trace:
    return Trace(caller.request_id(request), caller.address(request))
