"""Sign in with e-mail and password: one sentence and one length of time for every cause of a no."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from uuid import UUID

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from bartizan.auth import attempts, proceed, sso, trace
from bartizan.auth.desk import Desk
from bartizan.auth.passwords import LONGEST, POOL, outdated
from bartizan.auth.say import LONGEST_EMAIL, Fault, next_path, where_forms_lead
from bartizan.auth.signin import familiar
from bartizan.auth.signin.enter import turned
from bartizan.auth.signin.mailing import mail_again
from bartizan.auth.sso import SignedIn
from bartizan.model.event import Event
from bartizan.model.limit import Try
from bartizan.model.route import Route, Who
from bartizan.model.users import User
from bartizan.protocol.refusal import Unavailable
from bartizan.protocol.web import privacy
from bartizan.web import caller
from bartizan.web.pages import see_other, with_cookies

BY_IDENTIFIER = "signin.identifier"
REFUSED = Fault("That e-mail and password do not match.")
BUSY = Fault("Many people are signing in.")


class Known(Struct, frozen=True):
    user: User | None
    password_hash: str | None


class Entry(Struct, frozen=True):
    """What somebody typed, whom it counts for, and the authorization under way in their browser."""

    request: Request
    network: str
    who: str
    current: proceed.Current | None
    identifier: str
    password: str
    onward: str


class Enter:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._turned = turned.Turned()

    async def show(self, request: Request) -> Response:
        current = await self._desk.current(request)
        query = request.query_params
        if current is None and "other" not in query and await self._desk.signed_in(request) is not None:
            return see_other(next_path(query.get("next", "")))
        hint = current[1].login_hint if current is not None else None
        return self._page(request, current, identifier=hint or "", said=query.get("said", ""))

    async def submit(self, request: Request) -> Response:
        network = privacy.counted(caller.address(request))
        away = self._desk.ports.passwords.full(network)  # before anything that costs, and before it counts as a try
        if away and not await self._turned.pause():
            return turned.plainly(away)
        fields = await self._desk.fields(request)
        current = await self._desk.current(request)
        identifier, onward = fields.get("identifier").strip(), next_path(fields.get("next"))
        who = familiar.counted(self._desk, request, identifier[:LONGEST_EMAIL])
        entry = Entry(request, network, who, current, identifier, fields.get("password"), onward)
        if away:
            return self._busy(entry, away)
        try:
            return await self._enter(entry)
        except Unavailable as refusal:
            if refusal.what != POOL:
                raise
            return self._busy(entry, refusal.retry_after)

    async def _enter(self, entry: Entry) -> Response:
        request, current, identifier, onward = entry.request, entry.current, entry.identifier, entry.onward
        counted = await self._count(entry)
        if counted.again is not None:
            return self._limited(entry, counted.again)
        known = await self._find(entry.identifier)
        fits = len(entry.password) <= LONGEST
        tried = entry.password[:LONGEST]
        matched = await self._desk.ports.passwords.verify(known.password_hash, tried, who=entry.network) and fits
        if not matched or known.user is None or known.user.disabled:
            async with self._desk.ports.store.transaction() as records:
                await records.events.record(_event("signin.refused", entry, known.user))
            return self._page(request, current, identifier=identifier, fault=REFUSED, onward=onward, status=400)
        if not known.user.email_verified:
            return await mail_again(self._desk, request, known.user)
        welcome = await self._welcome(entry, known.user, known.password_hash or "", counted)
        return welcome or self._page(request, current, identifier=identifier, fault=REFUSED, onward=onward, status=400)

    async def _count(self, entry: Entry) -> attempts.Count:
        ports = self._desk.ports
        counted = await attempts.count(
            ports,
            Try(BY_IDENTIFIER, entry.who, attempts.PASSWORD_BY_IDENTIFIER),
            Try("signin.address", entry.network, attempts.PASSWORD_BY_ADDRESS),
        )
        if counted.by is None:
            return counted
        # One event a window for each that refuses: a flood of tries, or of invented names, is not one of rows.
        if await attempts.take(ports, Try("signin.noted", counted.by.who, attempts.ONCE)) is None:
            async with ports.store.transaction() as records:
                await records.events.record(_event("signin.limited", entry, None))
        return counted

    async def _find(self, identifier: str) -> Known:
        """The same statement for an unknown person as for a known one."""
        async with self._desk.ports.store.reading() as records:
            sendable = identifier.isprintable() and len(identifier) <= LONGEST_EMAIL
            found = await records.users.by_email_to_sign_in(identifier if sendable else "")
        return Known(None, None) if found is None else Known(*found)

    async def _welcome(self, entry: Entry, user: User, password_hash: str, counted: attempts.Count) -> Response | None:
        """None: the password was changed while we verified the old one."""
        request, ports, settings = entry.request, self._desk.ports, self._desk.settings
        if outdated(password_hash) or sso.shown(request, settings):
            signed_in = await self._renew(entry, user, password_hash)
        else:
            told = partial(_event, "signin.done", entry, user)
            signed_in = await sso.begin_session(user, password_hash, request, ports, settings, told)
        if signed_in is None:
            async with ports.store.transaction() as records:
                await records.events.record(_event("signin.refused", entry, user))
            return None
        if counted.to_forgive:
            await attempts.forgive(ports, BY_IDENTIFIER, entry.who)
        response = await proceed.proceed(request, ports, settings, signed_in=signed_in, home=entry.onward)
        return with_cookies(response, (familiar.cookie(self._desk, user.email),))

    async def _renew(self, entry: Entry, user: User, password_hash: str) -> SignedIn | None:
        """A session of this browser is renewed or replaced, an outdated hash made anew."""
        ports = self._desk.ports
        fresh = await self._anew(entry.password) if outdated(password_hash) else None
        async with ports.store.transaction() as records:
            if not await records.users.hold_password(user.id, password_hash):
                return None
            if fresh is not None:
                await records.users.set_password(user.id, fresh)
            signed_in = await sso.start_session(records, user, entry.request, ports, self._desk.settings)
            await records.events.record(_event("signin.done", entry, user, signed_in.session.id))
        return signed_in

    async def _anew(self, password: str) -> str | None:
        """In a rush the old hash does until the next time."""
        try:
            return await self._desk.ports.passwords.hash(password)
        except Unavailable:
            return None

    def _page(
        self,
        request: Request,
        current: proceed.Current | None,
        *,
        identifier: str,
        fault: Fault | None = None,
        said: str = "",
        onward: str = "",
        status: int = 200,
        busy: int = 0,
    ) -> Response:
        return self._desk.page(
            request,
            "signin/enter/page.html",
            status=status,
            headers={"retry-after": str(busy)} if busy else None,
            busy=busy,
            form_action=where_forms_lead(current),
            app=current[2].name if current else None,
            identifier=identifier,
            fault=fault,
            said=said,
            onward=onward or next_path(request.query_params.get("next", "")),
            open_sign_up=self._desk.settings.open_sign_up,
        )

    def _busy(self, entry: Entry, seconds: int) -> Response:
        """What was typed stays, but for the password."""
        return self._page(
            entry.request,
            entry.current,
            identifier=entry.identifier,
            fault=BUSY,
            onward=entry.onward,
            status=503,
            busy=seconds,
        )

    def _limited(self, entry: Entry, again: datetime) -> Response:
        seconds = max(int((again - self._desk.ports.clock()).total_seconds()), 1)
        return self._desk.page(
            entry.request,
            "signin/enter/limited.html",
            status=429,
            headers={"retry-after": str(seconds)},
            app=entry.current[2].name if entry.current else None,
            identifier=entry.identifier,
            again=again,
            minutes=max(round(seconds / 60), 1),
            fault=Fault("Too many tries."),
        )


def _event(code: str, entry: Entry, user: User | None, session_id: UUID | None = None) -> Event:
    return trace.of(entry.request).event(
        code,
        user_id=user.id if user else None,
        client_id=entry.current[2].id if entry.current else None,
        session_id=session_id,
    )


def rows(desk: Desk) -> tuple[Route, ...]:
    page = Enter(desk)
    return (
        Route(methods=("GET",), path="/signin", endpoint=page.show, who=Who.ANYONE),
        Route(methods=("POST",), path="/signin", endpoint=page.submit, who=Who.ANYONE, form=True, limit="60/minute"),
    )
