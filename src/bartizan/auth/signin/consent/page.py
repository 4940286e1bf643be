"""Consent: who asks, what it can and cannot in the person's own terms, how long, who sees it, how to end it.

The form's `csrf` is bound to this session and this interaction: a page about one app never answers for another.
"""

from __future__ import annotations

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from bartizan.auth import proceed, trace
from bartizan.auth.desk import Desk
from bartizan.auth.proceed import Current
from bartizan.auth.rights import rights
from bartizan.auth.say import host, where_forms_lead
from bartizan.model.clients import Client, Consent
from bartizan.model.route import Route, Who
from bartizan.model.sessions import Session
from bartizan.model.users import User
from bartizan.protocol.refusal import Refused
from bartizan.web.pages import see_other

TERMS: dict[str, tuple[str, timedelta | None]] = {
    "1h": ("1 hour", timedelta(hours=1)),
    "30d": ("30 days", timedelta(days=30)),
    "ended": ("Until I end it", None),
}


class AskConsent:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def show(self, request: Request) -> Response:
        current, signed_in = await self._desk.current(request), await self._desk.signed_in(request)
        if current is None or signed_in is None:
            return see_other("/signin")
        session, user = signed_in
        _, asked, client = current
        return self._desk.page(
            request,
            "signin/consent/page.html",
            subject=_subject(current, session),
            form_action=where_forms_lead(current),
            client=client,
            host=host(client),
            rights=rights(asked.scopes, user, self._desk.settings),
            terms=[(value, label, _offered(client, value)) for value, (label, _) in TERMS.items()],
            chosen="30d" if client.checked_at else "1h",
            user=user,
        )

    async def submit(self, request: Request) -> Response:
        current, signed_in = await self._desk.current(request), await self._desk.signed_in(request)
        subject = _subject(current, signed_in[0]) if current and signed_in else ""
        fields = await self._desk.fields(request, subject)
        if current is None or signed_in is None:
            return see_other("/signin")
        ports, settings = self._desk.ports, self._desk.settings
        match fields.get("decision"):
            case "deny":
                return await proceed.deny(request, ports, settings)
            case "allow":
                await self._grant(request, current, signed_in[1], fields.get("until"))
                return await proceed.proceed(request, ports, settings)
        raise Refused("invalid_request", "The form was not complete. Go back and choose again.", "no decision")

    async def _grant(self, request: Request, current: Current, user: User, until: str) -> None:
        _, asked, client = current
        if not _offered(client, until):
            raise Refused("invalid_request", "The form was not complete. Go back and choose how long.", "until")
        now, length = self._desk.ports.clock(), TERMS[until][1]
        consent = Consent(
            id=self._desk.new_id(),
            user_id=user.id,
            client_id=client.id,
            scopes=asked.scopes,
            granted_at=now,
            until=now + length if length else None,
            last_used_at=None,
        )
        async with self._desk.ports.store.transaction() as records:
            await records.consents.grant(consent)
            event = trace.of(request).event(
                "consent.granted",
                user_id=user.id,
                client_id=client.id,
                detail={"scope": " ".join(asked.scopes), "until": until},
            )
            await records.events.record(event)


def _offered(client: Client, until: str) -> bool:
    """An app that nobody here has checked is not offered the longest term."""
    return until in TERMS and (client.checked_at is not None or until != "ended")


def _subject(current: Current, session: Session) -> str:
    return f"{session.id} {current[0].id}"


def rows(desk: Desk) -> tuple[Route, ...]:
    page = AskConsent(desk)
    return (
        Route(methods=("GET",), path="/consent", endpoint=page.show, who=Who.SESSION),
        Route(methods=("POST",), path="/consent", endpoint=page.submit, who=Who.SESSION, form=True),
    )
