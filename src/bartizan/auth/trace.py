"""Whose request an event tells of: id and address, taken from HTTP once, so that grants need not know HTTP."""

from __future__ import annotations

from uuid import UUID

from msgspec import Struct
from starlette.requests import Request

from bartizan.model.event import Event
from bartizan.web import caller


class Trace(Struct, frozen=True):
    """Most requests make no event, so nothing is read before one is told."""

    request: Request

    @property
    def address(self) -> str:
        """In memory only: the store keeps a keyed hash of it."""
        return caller.address(self.request)

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
            request_id=caller.request_id(self.request),
            address=self.address,
            detail=detail or {},
        )


def of(request: Request) -> Trace:
    return Trace(request)
