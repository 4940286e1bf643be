"""What the command line does to people, clients, keys and sessions: direct calls of the store, one function a command.

Each gives plain values, which the command line prints as a table or as JSON.
"""

from __future__ import annotations

import os
import secrets
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from bartizan.auth import keys as signing
from bartizan.auth import passwords
from bartizan.model.clients import AuthMethod, Client, Kind
from bartizan.model.event import Event
from bartizan.model.sessions import Session
from bartizan.model.store import Records
from bartizan.model.users import User
from bartizan.protocol.secrets import fingerprint, new_secret, uuid7
from bartizan.stack import compile as compiled
from bartizan.stack.check import GRANTS, OIDC_SCOPES, bad_redirect
from bartizan.stack.home import Trouble
from bartizan.stack.instance import Instance
from bartizan.stack.people import new_password

Row = dict[str, Any]
_MANY = 10_000


class NewUser(Struct, frozen=True, kw_only=True):
    email: str
    name: str = ""
    password: str | None = None  # None: one is made and shown once
    verified: bool = False
    admin: bool = False


class NewClient(Struct, frozen=True, kw_only=True):
    id: str
    kind: str
    name: str = ""
    redirect_uris: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    auth_method: str = ""


async def create_user(instance: Instance, new: NewUser) -> Row:
    if "@" not in new.email.strip("@ "):
        raise Trouble(f"{new.email!r} is no e-mail address.")
    password = new.password if new.password is not None else new_password()
    if wrong := passwords.fault(password, new.email, new.name):
        raise Trouble(f"This password will not do. {wrong}")
    now = datetime.now(UTC)
    user = User(
        id=_new_id(now),
        email=new.email.strip(),
        email_verified=new.verified,
        name=new.name,
        admin=new.admin,
        disabled=False,
        created_at=now,
        password_changed_at=now,
    )
    pool = passwords.PasswordPool(threads=1)
    try:
        digest = await pool.hash(password)
    finally:
        pool.close()
    async with instance.store.transaction() as records:
        if not await records.users.add(user, digest):
            raise Trouble(f"{new.email} already has an account.")
        await records.events.record(Event(code="user.created", user_id=user.id, detail={"by": "command line"}))
        if new.admin:
            await records.events.record(Event(code="admin.granted", user_id=user.id, detail={"by": "command line"}))
    return _user(user) | ({} if new.password is not None else {"password": password})


async def list_users(instance: Instance, search: str = "") -> list[Row]:
    async with instance.store.reading() as records:
        return [_user(user) for user in await records.users.search(search, limit=_MANY, offset=0)]


async def show_user(instance: Instance, who: str) -> Row:
    async with instance.store.reading() as records:
        user = await find(records, who)
        sessions = await records.sessions.of_user(user.id)
        consents = await records.consents.of_user(user.id)
    return _user(user) | {
        "sessions": [_session(session) for session in sessions],
        "apps": [{"client": consent.client_id, "scopes": list(consent.scopes)} for consent in consents],
    }


async def lock_user(instance: Instance, who: str, *, locked: bool) -> Row:
    async with instance.store.transaction() as records:
        user = await find(records, who)
        await records.users.set_disabled(user.id, locked)
        if locked:
            await records.sessions.end_all_of(user.id, "locked")
        code = "user.disabled" if locked else "user.enabled"
        await records.events.record(Event(code=code, user_id=user.id, detail={"by": "command line"}))
    return _user(user) | {"locked": locked}


async def delete_user(instance: Instance, who: str) -> Row:
    async with instance.store.transaction() as records:
        user = await find(records, who)
        await records.sessions.end_all_of(user.id, "deleted")
        await records.users.delete(user.id)
        await records.events.record(Event(code="user.deleted", detail={"by": "command line"}))
    return {"id": str(user.id), "deleted": True}


async def create_client(instance: Instance, new: NewClient) -> Row:
    kind = Kind(new.kind)
    native = kind is Kind.NATIVE
    for uri in new.redirect_uris:
        if wrong := bad_redirect(uri, native=native):
            raise Trouble(f"--redirect-uri: {wrong}")
    for grant in new.grants:
        if grant not in GRANTS:
            raise Trouble(f"--grant: {grant!r} is none of {', '.join(GRANTS)}.")
    known = (*OIDC_SCOPES, *instance.at.config.auth.scopes)
    for scope in new.scopes:
        if scope not in known:
            raise Trouble(f"--scope: {scope!r} is none of {', '.join(known)}. Yours are named under [auth.scopes].")
    grants = new.grants or (("client_credentials",) if kind is Kind.AGENT else ("authorization_code", "refresh_token"))
    if "authorization_code" in grants and not new.redirect_uris:
        raise Trouble("--redirect-uri is missing: where may a code be sent?")
    method = AuthMethod(new.auth_method) if new.auth_method else AuthMethod.NONE if native else AuthMethod.BASIC
    if method is AuthMethod.NONE and not native:
        raise Trouble(f"A client of kind {kind} proves itself. Leave out --auth-method, or choose --kind native.")
    secret = None if method is AuthMethod.NONE else new_secret("bzs_", secrets.token_bytes(32))
    if kind is Kind.BROWSER:
        raise Trouble("A client of kind browser belongs into the file, as the BFF serves it: [[auth.client]].")
    client = Client(
        id=new.id,
        kind=kind,
        name=new.name or new.id,
        auth_method=method,
        secret_fingerprint=fingerprint(secret) if secret else None,
        redirect_uris=new.redirect_uris,
        grants=grants,
        scopes=new.scopes,
        audience=(compiled.auth(instance.at).app_origin,),
        owner="console",
        created_at=datetime.now(UTC),
    )
    async with instance.store.transaction() as records:
        if not await records.clients.add(client):
            raise Trouble(f"There is a client {new.id!r} already. Choose another id, or delete that one.")
        await records.events.record(Event(code="client.created", client_id=new.id, detail={"by": "command line"}))
    return _client(client) | ({"secret": secret} if secret else {})


async def list_clients(instance: Instance) -> list[Row]:
    async with instance.store.reading() as records:
        return [_client(client) for client in await records.clients.all()]


async def show_client(instance: Instance, client_id: str) -> Row:
    async with instance.store.reading() as records:
        client = await records.clients.by_id(client_id)
    if client is None:
        raise Trouble(f"There is no client {client_id!r}. See: bartizan client list")
    return _client(client)


async def delete_client(instance: Instance, client_id: str) -> Row:
    async with instance.store.transaction() as records:
        client = await records.clients.by_id(client_id)
        if client is None:
            raise Trouble(f"There is no client {client_id!r}. See: bartizan client list")
        if client.owner == "file":
            raise Trouble(f"{client_id} belongs to the file. Take its [[auth.client]] out and start again.")
        await records.clients.delete(client_id)
        await records.events.record(Event(code="client.deleted", client_id=client_id, detail={"by": "command line"}))
    return {"id": client_id, "deleted": True}


async def list_keys(instance: Instance) -> list[Row]:
    async with instance.store.reading() as records:
        stored = await records.keys.published()
    now = instance.store.clock()
    current = signing.signing(stored, now)
    return [
        {
            "kid": key.kid,
            "algorithm": key.algorithm,
            "state": _state(key.kid == (current.kid if current else None), key.active_at > now),
            "created_at": key.created_at.isoformat(),
            "active_at": key.active_at.isoformat(),
            "retired_at": key.retired_at.isoformat() if key.retired_at else None,
        }
        for key in stored
    ]


async def rotate_keys(instance: Instance) -> list[Row]:
    """The next key is published now, and signs when all can know it."""
    settings = compiled.auth(instance.at)
    await signing.rotate(settings, instance.store, instance.ring, instance.store.clock, os.urandom, force=True)
    return await list_keys(instance)


async def withdraw_key(instance: Instance, kid: str) -> list[Row]:
    """A key that leaked: gone with all that it signed, everywhere within two seconds (flows §7)."""
    settings = compiled.auth(instance.at)
    if not await signing.withdraw(settings, instance.store, instance.ring, instance.store.clock, os.urandom, kid):
        raise Trouble(f"There is no key {kid!r}. See: bartizan key list")
    return await list_keys(instance)


async def list_sessions(instance: Instance, who: str = "") -> list[Row]:
    async with instance.store.reading() as records:
        people = [await find(records, who)] if who else await records.users.search("", limit=_MANY, offset=0)
        found = [(person, await records.sessions.of_user(person.id)) for person in people]
    return [_session(session) | {"user": person.email} for person, sessions in found for session in sessions]


async def end_session(instance: Instance, session_id: str) -> Row:
    try:
        wanted = UUID(session_id)
    except ValueError:
        raise Trouble(f"{session_id!r} is no session id. See: bartizan session list") from None
    async with instance.store.transaction() as records:
        gids = await records.sessions.end(wanted, "ended by the operator")
        await records.events.record(Event(code="session.ended", session_id=wanted, detail={"by": "command line"}))
    return {"id": session_id, "ended": True, "access_ended": [str(gid) for gid in gids]}


async def find(records: Records, who: str) -> User:
    try:
        user = await records.users.by_id(UUID(who))
    except ValueError:
        user = await records.users.by_email(who)
    if user is None:
        raise Trouble(f"There is nobody {who!r}. See: bartizan user list")
    return user


def _user(user: User) -> Row:
    return {
        "id": str(user.id),
        "email": user.email,
        "name": user.name,
        "verified": user.email_verified,
        "admin": user.admin,
        "locked": user.disabled,
        "created_at": user.created_at.isoformat(),
    }


def _session(session: Session) -> Row:
    return {
        "id": str(session.id),
        "device": session.device,
        "network": session.network,
        "created_at": session.created_at.isoformat(),
        "last_seen_at": session.last_seen_at.isoformat(),
        "expires_at": session.expires_at.isoformat(),
    }


def _client(client: Client) -> Row:
    return {
        "id": client.id,
        "kind": str(client.kind),
        "name": client.name,
        "auth_method": str(client.auth_method),
        "redirect_uris": list(client.redirect_uris),
        "grants": list(client.grants),
        "scopes": list(client.scopes),
        "first_party": client.first_party,
        "owner": client.owner,
        "disabled": client.disabled,
        "created_at": client.created_at.isoformat(),
    }


def _state(current: bool, waiting: bool) -> str:
    return "signs" if current else "next" if waiting else "verifies"


def _new_id(now: datetime) -> UUID:
    return uuid7(int(now.timestamp() * 1000), secrets.token_bytes(10))
