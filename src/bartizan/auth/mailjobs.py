"""Mail jobs, run by the worker. A job names rows, not addresses; what is no longer true when it runs is not sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from uuid import UUID

from bartizan.auth import links, mail
from bartizan.auth.settings import AuthSettings
from bartizan.model.codes import Link
from bartizan.model.job import Job, JobRow
from bartizan.model.mail import Mailer
from bartizan.model.store import Store
from bartizan.model.users import User
from bartizan.protocol.secrets import KeyRing
from bartizan.web.words import clock, day

# A mail server that hangs holds each of its jobs for a minute: all kinds together must not fill a worker.
AT_ONCE = 2


def rows(settings: AuthSettings, store: Store, ring: KeyRing, mailer: Mailer) -> tuple[JobRow, ...]:
    office = _Office(settings, store, ring, mailer)
    runs: dict[str, Callable[[Job], Awaitable[None]]] = {
        "verify": office.verify,
        "already": office.already,
        "reset": office.reset,
        "email": office.email,
        "email_changed": office.email_changed,
        "password_changed": office.password_changed,
        "theft": office.theft,
        "none": office.none,
    }
    return tuple(
        JobRow(kind=f"mail.{name}", run=run, at_once=0 if name == "none" else AT_ONCE) for name, run in runs.items()
    )


class _Office:
    def __init__(self, settings: AuthSettings, store: Store, ring: KeyRing, mailer: Mailer) -> None:
        self._settings = settings
        self._store = store
        self._ring = ring.purpose("link")
        self._mailer = mailer

    async def verify(self, job: Job) -> None:
        link = await self._link(job, "verify")
        if link is not None:
            await self._send("verify", job, link.detail["email"], **self._of(link))

    async def already(self, job: Job) -> None:
        link = await self._link(job, "already")
        user = await self._user(link.user_id) if link is not None else None
        if user is not None:
            await self._send("already", job, user.email)

    async def reset(self, job: Job) -> None:
        link = await self._link(job, "reset")
        user = await self._user(link.user_id) if link is not None else None
        if link is not None and user is not None:
            await self._send("reset", job, user.email, **self._of(link))

    async def email(self, job: Job) -> None:
        link = await self._link(job, "email")
        user = await self._user(link.user_id) if link is not None else None
        if link is not None and user is not None:
            await self._send("email", job, link.detail["email"], name=user.name, **self._of(link))

    async def email_changed(self, job: Job) -> None:
        await self._send("email_changed", job, job.detail["to"])

    async def password_changed(self, job: Job) -> None:
        user = await self._user(UUID(job.detail["user_id"]))
        if user is not None and user.password_changed_at is not None:
            when = f"{day(user.password_changed_at)} at {clock(user.password_changed_at)}"
            await self._send("password_changed", job, user.email, name=user.name, when=when)

    async def theft(self, job: Job) -> None:
        """Enqueued by the rotation that caught it, in its own transaction (flows §6).

        What it says of the session is in the job: by now that may be ended, as the BFF's always is.
        """
        user = await self._user(UUID(job.detail["user_id"]))
        if user is None:
            return
        at = datetime.fromisoformat(job.detail["at"])
        async with self._store.reading() as records:
            client = await records.clients.by_id(job.detail["client_id"])
        app = client.name if client is not None else job.detail["client_id"]
        of_session = (("Device", job.detail["device"]), ("Network", job.detail["network"]))
        known = [(name, value) for name, value in of_session if value]  # empty: it hung on no session
        facts = [("App", app), *known, ("When", f"{day(at)}, {clock(at)}")]
        await self._send("theft", job, user.email, name=user.name, app=app, when=f"at {clock(at)}", facts=facts)

    async def none(self, job: Job) -> None:
        """A reset for an address without an account: enqueued like any other, so that asking takes as long."""

    async def _link(self, job: Job, kind: str) -> Link | None:
        async with self._store.reading() as records:
            return await records.links.peek(UUID(job.detail["link"]), kind)

    async def _user(self, user_id: UUID | None) -> User | None:
        if user_id is None:
            return None
        async with self._store.reading() as records:
            user = await records.users.by_id(user_id)
        return None if user is None or user.disabled else user

    def _of(self, link: Link) -> dict[str, object]:
        address = links.address(self._settings.issuer, self._ring, link)
        return {"link": address, "until": f"{clock(link.expires_at)} on {day(link.expires_at)}"}

    async def _send(self, name: str, job: Job, to: str, /, **values: object) -> None:
        await self._mailer.send(mail.write(name, self._settings, mail_id=job.id, to=to, **values))
