"""OAuth 2.1 §4.3, F§6: a refresh token becomes new tokens. The store rotates or classifies; this table answers."""

from __future__ import annotations

from bartizan.auth import issue
from bartizan.auth.clients import AuthenticatedClient
from bartizan.auth.server import AuthServer
from bartizan.auth.trace import Trace
from bartizan.model.families import Family, Outcome
from bartizan.protocol.oauth import refresh, resources, scopes
from bartizan.protocol.oauth.errors import no
from bartizan.protocol.oauth.parameters import Parameters
from bartizan.protocol.oauth.refresh import RefreshToken
from bartizan.protocol.oauth.responses import Issue
from bartizan.protocol.oauth.token import RefreshRequest, refresh_request
from bartizan.protocol.refusal import Refused, Replayed

GOES_ON = frozenset((Outcome.ROTATED, Outcome.GRACE, Outcome.LATE_RETRY))

# What else presenting a token comes to. The store has ended and noted what is to be ended and noted.
REFUSALS: dict[Outcome, str] = {
    Outcome.UNKNOWN: "no such family, or another client's",
    Outcome.ENDED: "expired or ended",
    Outcome.THEFT: "a spent token came back: the family has ended",
    Outcome.CONTENDED: "late retries: the family has ended",
    Outcome.AHEAD: "the token is ahead of its row: the database went back",
}
REPLAYED = frozenset((Outcome.THEFT, Outcome.CONTENDED))


async def grant(parameters: Parameters, client: AuthenticatedClient, server: AuthServer, trace: Trace) -> Issue:
    request = refresh_request(parameters)
    token = await _genuine(request, client, server, trace)
    if request.scopes is not None or request.resource:
        await _check_narrowing(request, token, client, server)
    mint = await issue.mint(server)
    rotation = await server.ports.store.rotations.rotate(
        token.family,
        token.generation,
        client.id,
        key_id=server.refresh_ring.newest[0],
        idle_seconds=server.settings.refresh_idle,
    )
    server.ports.meter.count("refresh", outcome=rotation.outcome.value)
    family = rotation.family
    if rotation.outcome not in GOES_ON or family is None:
        raise await _refusal(rotation.outcome, token, client, server, trace)
    made = mint.for_family(
        family,
        rotation.now,
        granted=_granted(request, family, client),
        audience=resources.narrow(request.resource, family.audience),
        refreshing=True,
    )
    if made is None:
        raise no("invalid_grant", "the key of this generation was withdrawn")
    return made


async def _genuine(
    request: RefreshRequest, client: AuthenticatedClient, server: AuthServer, trace: Trace
) -> RefreshToken:
    """Only what our MAC proves goes near a row. After a restore earlier tokens are refused quietly (F§8)."""
    token = refresh.decode(server.refresh_ring, request.token)
    if token is None:
        raise no("invalid_grant", "not a refresh token of ours")
    epoch = await server.ports.store.epoch()
    if token.epoch < epoch:
        raise no("invalid_grant", "a token from before the restore")
    if token.epoch > epoch:
        await _note("database.went_back", token, client, server, trace)
        raise no("invalid_grant", "a token of an epoch that is still to come")
    return token


async def _check_narrowing(
    request: RefreshRequest, token: RefreshToken, client: AuthenticatedClient, server: AuthServer
) -> None:
    """§4.3.1: a wider scope is refused before anything rotates; a family not this client's is left to the rotation."""
    async with server.ports.store.reading() as records:
        family = await records.families.by_id(token.family)
    if family is None or family.client_id != client.id:
        return
    if request.scopes is not None:
        scopes.within(request.scopes, family.scopes)
    resources.narrow(request.resource, family.audience)


def _granted(request: RefreshRequest, family: Family, client: AuthenticatedClient) -> tuple[str, ...]:
    """F§6: a narrower scope narrows this access token only. What the client has lost since, it gets no more."""
    asked = family.scopes if request.scopes is None else request.scopes
    return scopes.common(scopes.common(asked, family.scopes), client.client.scopes)


async def _refusal(
    outcome: Outcome, token: RefreshToken, client: AuthenticatedClient, server: AuthServer, trace: Trace
) -> Refused | Replayed:
    if outcome is Outcome.UNKNOWN:
        await _note("refresh.refused", token, client, server, trace)
    if outcome in REPLAYED:
        return Replayed(token.family, REFUSALS[outcome])
    return no("invalid_grant", REFUSALS[outcome])


async def _note(code: str, token: RefreshToken, client: AuthenticatedClient, server: AuthServer, trace: Trace) -> None:
    async with server.ports.store.transaction() as records:
        await records.events.record(trace.event(code, client_id=client.id, gid=token.family))
