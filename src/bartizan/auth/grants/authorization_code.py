"""OAuth 2.1 §4.1.3: a code becomes tokens, once. Checked first, spent after, so that a stranger cannot burn it."""

from __future__ import annotations

from bartizan.auth import issue
from bartizan.auth.clients import AuthenticatedClient
from bartizan.auth.issue import First
from bartizan.auth.server import AuthServer
from bartizan.auth.trace import Trace
from bartizan.model.clients import Client, Kind
from bartizan.model.codes import Code
from bartizan.model.families import Family, NewFamily
from bartizan.protocol import secrets
from bartizan.protocol.oauth import pkce, resources, scopes
from bartizan.protocol.oauth.errors import no
from bartizan.protocol.oauth.parameters import Parameters
from bartizan.protocol.oauth.responses import Issue
from bartizan.protocol.oauth.token import CodeRequest, code_request
from bartizan.protocol.refusal import Refused, Replayed


async def grant(parameters: Parameters, client: AuthenticatedClient, server: AuthServer, trace: Trace) -> Issue:
    request = code_request(parameters)
    fingerprint = secrets.fingerprint(request.code)
    code, user = await server.ports.store.redemptions.see(fingerprint) or (None, None)
    audience = check(code, request, client)
    assert code is not None, "checked"
    if user is None or user.disabled:
        raise no("invalid_grant", "the account is gone or locked")
    mint = await issue.mint(server)
    family = await _redeem(fingerprint, code, client, server, trace)
    made = mint.for_family(
        family,
        family.created_at,
        granted=family.scopes,
        audience=audience,
        refreshing=_refreshes(client.client),
        first=First(code.nonce, user, str(code.session_id)),
    )
    assert made is not None, "the newest key is in the ring"
    return made


def check(code: Code | None, request: CodeRequest, client: AuthenticatedClient) -> tuple[str, ...]:
    """Client, redirect URI and verifier, spent or not; gives the audience of the tokens."""
    if code is None:
        raise no("invalid_grant", "unknown code")
    if code.client_id != client.id:
        raise no("invalid_grant", "the code is another client's")
    # OAuth 2.1 §10.2: it need not come, since PKCE binds the code; when it comes it must be the same.
    if request.redirect_uri is not None and request.redirect_uri != code.redirect_uri:
        raise no("invalid_grant", "redirect_uri differs")
    if not pkce.matches(request.verifier, code.code_challenge):
        raise no("invalid_grant", "the verifier does not match")
    return resources.narrow(request.resource, code.audience)


async def _redeem(
    fingerprint: bytes, code: Code, client: AuthenticatedClient, server: AuthServer, trace: Trace
) -> Family:
    """Spent, family begun and noted in one commit; then the tokens are made. Who was locked in the minute since the
    code was made has no living session, and withdrawing a consent deletes the codes that came of it: both buy nothing.
    """
    begins = _begins(code, client.client, server)
    event = trace.event(
        "token.issued", user_id=code.user_id, client_id=client.id, session_id=code.session_id, gid=begins.id
    )
    family = await server.ports.store.redemptions.redeem(fingerprint, begins, event)
    if family is None:
        raise await _replayed(fingerprint, client, server, trace)
    return family


def _refreshes(client: Client) -> bool:
    return "refresh_token" in client.grants


def _begins(code: Code, client: Client, server: AuthServer) -> NewFamily:
    """Every grant has a family, so that ending it ends its access; one that may not refresh dies with its token."""
    settings = server.settings
    bff = client.kind is Kind.BROWSER
    offline = scopes.OFFLINE in code.scopes and not bff
    return NewFamily(
        id=server.new_id(),
        user_id=code.user_id,
        client_id=client.id,
        session_id=None if offline else code.session_id,
        scopes=code.scopes,
        audience=code.audience,
        csrf=code.csrf,
        bff=bff,
        nonce=code.nonce,
        auth_time=code.auth_time,
        key_id=server.refresh_ring.newest[0],
        idle_seconds=settings.refresh_idle if _refreshes(client) else settings.access_token_lifetime,
        absolute_seconds=settings.refresh_absolute,
    )


async def _replayed(
    fingerprint: bytes, client: AuthenticatedClient, server: AuthServer, trace: Trace
) -> Refused | Replayed:
    """§4.1.3: a code that comes back ends what it bought. Committed before it is answered."""
    async with server.ports.store.transaction() as records:
        bought = await records.codes.bought(fingerprint)
        if bought is None:
            return no("invalid_grant", "the code came too late, or its session has ended")
        await records.families.end(bought, "code.replayed")
        await records.events.record(trace.event("code.replayed", client_id=client.id, gid=bought))
    return Replayed(bought, "a spent code came back")
