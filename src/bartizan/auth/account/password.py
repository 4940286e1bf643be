"""Change the password: the one now, the new one, and by default the end of every other session."""

from __future__ import annotations

from starlette.responses import Response

from bartizan.auth import attempts, passwords, sso, trace
from bartizan.auth.account import view
from bartizan.auth.door import Visit
from bartizan.auth.say import Fault
from bartizan.model.job import Job
from bartizan.model.limit import Try
from bartizan.web.pages import see_other, with_cookies

SECTION = "sign-in"
LIMIT = "password.change"


async def change(visit: Visit) -> Response:
    fields = await visit.fields()
    fault = await wrong(visit, fields.get("current"), "current-password") or _weak(visit, fields.get("new"))
    if fault is not None:
        return await view.page(visit, section=SECTION, fault=fault)
    ports, user = visit.desk.ports, visit.user
    password_hash = await ports.passwords.hash(fields.get("new"))
    async with ports.store.transaction() as records:
        await records.users.set_password(user.id, password_hash)
        if fields.get("end_others"):
            await records.sessions.end_all_of(user.id, "password.changed", but=visit.session.id)
        await records.events.record(trace.of(visit.request).event("password.changed", user_id=user.id))
        told = Job(id=visit.desk.new_id(), kind="mail.password_changed", detail={"user_id": str(user.id)})
        await records.jobs.enqueue(told)
        # A fresh proof: this browser's session gets a new secret, and a copied cookie of it is worth nothing.
        signed_in = await sso.start_session(records, user, visit.request, ports, visit.desk.settings)
    return with_cookies(see_other("/account?said=password#sign-in"), (signed_in.set_cookie,))


async def wrong(visit: Visit, typed: str, field: str) -> Fault | None:
    """The proof that it is the person, and not who found or copied the session. `field`: the input's id."""
    ports, user = visit.desk.ports, visit.user
    again = await attempts.take(ports, Try(LIMIT, str(user.id), attempts.PASSWORD_BY_IDENTIFIER))
    if again is not None:
        return Fault("Too many tries.", f"It works again at {again:%H:%M} UTC.", field)
    async with ports.store.reading() as records:
        stored = await records.users.password_hash(user.id)
    if not await ports.passwords.verify(stored, typed[: passwords.LONGEST]):
        return Fault("That is not your password now.", "Type it again. Nothing was changed.", field)
    await attempts.forgive(ports, LIMIT, str(user.id))
    return None


def _weak(visit: Visit, new: str) -> Fault | None:
    what = passwords.fault(new, visit.user.name, visit.user.email, visit.desk.settings.site_name)
    return Fault("Choose another password.", what, "new-password") if what else None
