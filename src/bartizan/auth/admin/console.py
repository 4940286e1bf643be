"""The frame of the console: what its side bar shows, and how an event is told in words."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from markupsafe import Markup, escape
from msgspec import Struct
from starlette.responses import Response

from bartizan.auth.door import Visit
from bartizan.model.event import EVENTS, EventKind, Severity, StoredEvent
from bartizan.model.store import Records
from bartizan.model.users import User

NAV = (
    ("overview", "Overview", "/admin", "wall"),
    ("events", "Events", "/admin/events", "list"),
    ("users", "Users", "/admin/users", "people"),
    ("clients", "Clients", "/admin/clients", "apps"),
    ("keys", "Keys", "/admin/keys", "key"),
)

_UNKNOWN = EventKind("", Severity.NOTE, "Something that this version does not know")


class Told(Struct, frozen=True):
    """An event, ready to be shown: names and ids, a masked network, never an address."""

    at: datetime
    code: str
    severity: str
    sentence: Markup
    who: Markup
    user_id: UUID | None
    client_id: str | None
    network: str
    request_id: str

    @property
    def remark(self) -> str:
        shown = self.client_id if self.client_id and self.client_id not in self.sentence else ""
        return " · ".join(part for part in (shown, self.network) if part)


async def page(
    visit: Visit, here: str, template: str, *, status: int = 200, counts: dict[str, int] | None = None, **values: object
) -> Response:
    return visit.desk.page(
        visit.request,
        template,
        subject=visit.subject,
        status=status,
        form_action=(),
        cookies=(),
        headers=None,
        nav=NAV,
        here=here,
        counts=counts if counts is not None else await _counts(visit),
        **values,
    )


async def _counts(visit: Visit) -> dict[str, int]:
    async with visit.desk.ports.store.reading() as records:
        return {"users": await records.users.count(), "clients": len(await records.clients.all())}


async def tell(records: Records, events: Iterable[StoredEvent]) -> list[Told]:
    """Each person is looked up once."""
    people: dict[UUID, User | None] = {}
    told: list[Told] = []
    for event in events:
        if event.user_id is not None and event.user_id not in people:
            people[event.user_id] = await records.users.by_id(event.user_id)
        told.append(_told(event, people.get(event.user_id) if event.user_id else None))
    return told


def _told(event: StoredEvent, user: User | None) -> Told:
    kind = EVENTS.get(event.code, _UNKNOWN)
    who = _who(event.user_id, user)
    client = (
        Markup('<a href="/admin/clients/{0}">{0}</a>').format(event.client_id)
        if event.client_id
        else escape("the account pages")
    )
    return Told(
        at=event.at,
        code=event.code,
        severity=kind.severity,
        sentence=_sentence(kind.sentence, who, client),
        who=who,
        user_id=event.user_id,
        client_id=event.client_id,
        network=event.network,
        request_id=event.request_id,
    )


def _who(user_id: UUID | None, user: User | None) -> Markup:
    if user_id is None:
        return escape("somebody")
    name = user.name if user is not None else "a deleted account"
    return Markup('<a href="/admin/users/{}">{}</a>').format(user_id, name) if user is not None else escape(name)


def _sentence(template: str, who: Markup, client: Markup) -> Markup:
    """`template` is ours (a row of EVENTS); the values are escaped already."""
    text = template.replace("{user}", str(who)).replace("{client}", str(client))
    return Markup(text[:1].upper() + text[1:])  # noqa: S704 - see above
