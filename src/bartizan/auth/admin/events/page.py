"""Events: what people, clients and servers did. Filters are a GET form, so each view has an address."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from starlette.responses import Response

from bartizan.auth.admin import console
from bartizan.auth.door import Visit
from bartizan.model.event import EVENTS, Severity
from bartizan.model.store import Records
from bartizan.protocol.refusal import Refused
from bartizan.web import body

PAGE = 50
CHIPS: tuple[tuple[str, dict[str, str]], ...] = (
    ("All", {}),
    ("Needs a look", {"severity": "serious"}),
    ("Sign-ins refused", {"code": "signin.refused"}),
    ("Access ended", {"code": "consent.withdrawn"}),
    ("Keys", {"code": "key.rotated"}),
)
NAMES = ("user", "code", "severity", "client", "before")


async def show(visit: Visit) -> Response:
    query = body.query(visit.request)
    chosen = {name: query.get(name).strip()[:254] for name in NAMES}
    filters = {name: value for name, value in chosen.items() if value and name != "before"}
    code, severity = chosen["code"], chosen["severity"]
    if (code and code not in EVENTS) or (severity and severity not in set(Severity)):
        raise Refused("invalid_request", "There is no such kind of event.", "unknown code or severity")
    async with visit.desk.ports.store.reading() as records:
        clients = [client.id for client in await records.clients.all()]
        user_id, known = await _user(records, chosen["user"])
        found = (
            await records.events.latest(
                limit=PAGE + 1,
                code=code,
                severity=severity,
                user_id=user_id,
                client_id=chosen["client"],
                before=_time(chosen["before"]),
            )
            if known
            else []
        )
        events = await console.tell(records, found[:PAGE])
    older = {**filters, "before": found[PAGE - 1].at.isoformat()} if len(found) > PAGE else None
    return await console.page(
        visit,
        "events",
        "admin/events/page.html",
        chosen=chosen,
        chips=[(label, "/admin/events" + _query(wanted), wanted == filters) for label, wanted in CHIPS],
        codes=sorted(EVENTS),
        severities=list(Severity),
        clients=clients,
        events=events,
        newest="/admin/events" + _query(filters),
        older="/admin/events" + _query(older) if older else None,
    )


async def _user(records: Records, text: str) -> tuple[UUID | None, bool]:
    """An e-mail or an id; (None, False) for somebody whom nobody knows."""
    if not text:
        return None, True
    try:
        return UUID(text), True
    except ValueError:
        user = await records.users.by_email(text[:254])
        return (user.id, True) if user else (None, False)


def _time(text: str) -> datetime | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise Refused("invalid_request", "That is no time.", "before is no ISO 8601 time") from None
    if at.tzinfo is None or not 1970 < at.year < 9000:
        raise Refused("invalid_request", "That is no time.", "before has no offset, or is out of range")
    return at


def _query(values: dict[str, str]) -> str:
    return f"?{urlencode(values)}" if values else ""
