"""Users: search; one user with what happened lately, sessions and apps; lock, unlock, end."""

from __future__ import annotations

from urllib.parse import urlencode
from uuid import UUID

from starlette.responses import Response

from bartizan.auth import trace
from bartizan.auth.admin import console
from bartizan.auth.door import Visit
from bartizan.auth.say import host
from bartizan.model.event import Event, Severity
from bartizan.model.store import Records
from bartizan.model.users import User
from bartizan.protocol.refusal import Refused
from bartizan.web import body
from bartizan.web.pages import see_other

PAGE = 50
SAID = {
    "locked": "Locked. Every session and every app’s access is ended.",
    "unlocked": "Unlocked. Sign-in works again.",
    "ended": "Every session is ended.",
    "session": "That session is ended.",
    "app": "That app’s access is ended.",
}


async def find(visit: Visit) -> Response:
    query = body.query(visit.request)
    text, page = query.get("q").strip()[:254], _number(query.get("page"))
    async with visit.desk.ports.store.reading() as records:
        found = await records.users.search(text, limit=PAGE + 1, offset=(page - 1) * PAGE)
        number = await records.users.count()
    return await console.page(
        visit,
        "users",
        "admin/users/list.html",
        q=text,
        users=found[:PAGE],
        number=number,
        first=(page - 1) * PAGE + 1,
        newer=_address(text, page - 1) if page > 1 else None,
        older=_address(text, page + 1) if len(found) > PAGE else None,
    )


async def show(visit: Visit) -> Response:
    async with visit.desk.ports.store.reading() as records:
        user = await _known(visit, records)
        sessions = await records.sessions.of_user(user.id)
        consents = await records.consents.of_user(user.id)
        apps = [(await records.clients.by_id(consent.client_id), consent) for consent in consents]
        events = await console.tell(records, await records.events.latest(limit=8, user_id=user.id))
    return await console.page(
        visit,
        "users",
        "admin/users/page.html",
        user=user,
        me=user.id == visit.user.id,
        sessions=sessions,
        apps=[(client, host(client), consent) for client, consent in apps if client is not None],
        events=events,
        serious=next((event for event in events if event.severity == Severity.SERIOUS), None),
        said=SAID.get(visit.request.query_params.get("said", "")),
    )


async def ask_lock(visit: Visit) -> Response:
    """What cuts somebody off opens a page that asks (look: `.danger`)."""
    async with visit.desk.ports.store.reading() as records:
        user = await _known(visit, records)
        sessions = len(await records.sessions.of_user(user.id))
        apps = len(await records.consents.of_user(user.id))
    return await console.page(visit, "users", "admin/users/lock.html", user=user, sessions=sessions, apps=apps)


async def lock(visit: Visit) -> Response:
    await visit.fields()
    async with visit.desk.ports.store.transaction() as records:
        user = await _known(visit, records)
        if user.id == visit.user.id:
            raise Refused("invalid_request", "You cannot lock yourself out. Another administrator can.", status=409)
        changed = await records.users.set_disabled(user.id, True)
        await records.sessions.end_all_of(user.id, "user.disabled")
        for family in await records.families.of_user(user.id):
            await records.families.end(family.id, "user.disabled")
        if changed:
            await records.events.record(_event(visit, "user.disabled", user))
    return _back(user, "locked")


async def unlock(visit: Visit) -> Response:
    await visit.fields()
    async with visit.desk.ports.store.transaction() as records:
        user = await _known(visit, records)
        if await records.users.set_disabled(user.id, False):
            await records.events.record(_event(visit, "user.enabled", user))
    return _back(user, "unlocked")


async def end_all(visit: Visit) -> Response:
    await visit.fields()
    async with visit.desk.ports.store.transaction() as records:
        user = await _known(visit, records)
        theirs = sorted(session.id for session in await records.sessions.of_user(user.id))
        living = [one for one in theirs if await records.sessions.hold(one)]
        await records.sessions.end_all_of(user.id, "admin")
        for session_id in living:
            await records.events.record(_event(visit, "session.ended", user, session_id=session_id))
    return _back(user, "ended")


async def end_session(visit: Visit) -> Response:
    await visit.fields()
    async with visit.desk.ports.store.transaction() as records:
        user = await _known(visit, records)
        theirs = {str(session.id): session.id for session in await records.sessions.of_user(user.id)}
        session_id = theirs.get(visit.param("session_id"))
        if session_id is not None and await records.sessions.hold(session_id):
            await records.sessions.end(session_id, "admin")
            await records.events.record(_event(visit, "session.ended", user, session_id=session_id))
    return _back(user, "session")


async def end_app(visit: Visit) -> Response:
    await visit.fields()
    client_id = visit.param("client_id")
    async with visit.desk.ports.store.transaction() as records:
        user = await _known(visit, records)
        if await records.consents.hold(user.id, client_id):
            await records.consents.withdraw(user.id, client_id)
            await records.events.record(_event(visit, "consent.withdrawn", user, client_id=client_id))
    return _back(user, "app")


def _event(
    visit: Visit, code: str, user: User, *, session_id: UUID | None = None, client_id: str | None = None
) -> Event:
    """Who did it stands in the detail: `{user}` is whom it was done to."""
    return trace.of(visit.request).event(
        code, user_id=user.id, client_id=client_id, session_id=session_id, detail={"by": str(visit.user.id)}
    )


async def _known(visit: Visit, records: Records) -> User:
    try:
        user = await records.users.by_id(UUID(visit.param("user_id")))
    except ValueError:
        user = None
    if user is None:
        raise Refused("not_found", "There is no such user.", status=404)
    return user


def _back(user: User, said: str) -> Response:
    return see_other(f"/admin/users/{user.id}?said={said}")


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and int(text[:6]) > 0 and len(text) < 6 else 1


def _address(text: str, page: int) -> str:
    return f"/admin/users?{urlencode({'q': text, 'page': page})}"
