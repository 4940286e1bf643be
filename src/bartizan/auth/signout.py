"""OIDC RP-Initiated Logout, the part that is no page: who asks, is it proven, where back; and ending the session."""

from __future__ import annotations

from uuid import UUID

from msgspec import Struct
from starlette.requests import Request

from bartizan.auth import keys, trace
from bartizan.auth.ports import AuthPorts
from bartizan.auth.settings import AuthSettings
from bartizan.model.clients import Client
from bartizan.model.sessions import Session
from bartizan.model.store import Records
from bartizan.protocol import jose
from bartizan.protocol.oauth.errors import no
from bartizan.protocol.oauth.parameters import Parameters
from bartizan.protocol.oidc import id_token, logout
from bartizan.protocol.oidc.logout import Back

_ANY_AGE = 100 * 365 * 86_400  # seconds: §2 takes an expired ID token as a hint too


class SignOut(Struct, frozen=True, kw_only=True):
    client: Client | None  # the app that asks, if it said who it is
    back: Back | None  # its registered address, or None: our own signed-out page
    proven: bool  # it holds an ID token of this session: no need to ask the person


async def read(parameters: Parameters, session: Session | None, ports: AuthPorts, settings: AuthSettings) -> SignOut:
    """`parameters`: `from_query(request.scope["query_string"])` or `from_form(…)`. Refused: an address or a client
    that does not fit; then nobody is redirected anywhere."""
    sent = logout.parse(parameters)
    async with ports.store.reading() as records:
        known = await _hint(records, sent.id_token_hint, ports, settings)
        client_id = logout.named_client(sent, known)
        client = None if client_id is None else await records.clients.by_id(client_id)
    if client is None and (client_id is not None or sent.post_logout_redirect_uri is not None):
        raise no("invalid_request", "no known client is named")
    back = None if client is None else logout.way_back(sent, client.post_logout_redirect_uris)
    proven = session is not None and logout.is_proven(known, user_id=str(session.user_id), session_id=str(session.id))
    return SignOut(client=client, back=back, proven=proven)


async def _hint(records: Records, token: str | None, ports: AuthPorts, settings: AuthSettings) -> logout.Hint | None:
    """A hint that does not hold proves nothing, and is no fault: its key may have leaked, or be long gone."""
    if token is None:
        return None
    trusted = jose.key_set(keys.public_set(await records.keys.trusted()))
    try:
        claims = jose.verify(
            token,
            trusted,
            algorithms=tuple(jose.ALGORITHMS),
            typ=id_token.TYP,
            issuer=settings.issuer,
            audience=None,
            now=int(ports.clock().timestamp()),
            leeway=_ANY_AGE,
        )
    except jose.InvalidToken:
        return None
    return logout.hint(claims)


async def sign_out(records: Records, session: Session, request: Request, *, client_id: str | None = None) -> list[UUID]:
    """Ends the session with its families, lists their gids, notes it; all in this transaction. Then delete the
    cookie (`sso.end_session_cookie`)."""
    if not await records.sessions.hold(session.id):
        return []  # the same request, twice at once: the other one ended and noted it
    ended = await records.sessions.end(session.id, "signed_out")
    await records.events.record(
        trace.of(request).event(
            "session.signed_out", user_id=session.user_id, client_id=client_id, session_id=session.id
        )
    )
    return ended
