"""OAuth 2.1 §2.4: `authenticate` alone makes an `AuthenticatedClient`, and what follows takes nothing less.

An unknown client, a disabled one, a wrong method and a wrong secret cost the same and are told the same.
"""

from __future__ import annotations

import hmac

from msgspec import Struct

from bartizan.auth.server import AuthServer
from bartizan.auth.trace import Trace
from bartizan.model.clients import AuthMethod, Client, Kind
from bartizan.model.limit import Limit, Try
from bartizan.protocol import secrets
from bartizan.protocol.oauth.credentials import NONE, Presented
from bartizan.protocol.oauth.errors import no
from bartizan.protocol.refusal import Refused, Unavailable
from bartizan.protocol.secrets import Ring
from bartizan.protocol.web import privacy

_NOBODY = bytes(32)  # compared with where there is no secret; no SHA-256 is known to give it
_NOTED = Limit(30, 60)  # events of refused clients, per address: more would only fill the table


class AuthenticatedClient(Struct, frozen=True):
    """Built by `authenticate` alone (a test holds that)."""

    client: Client
    proven: bool  # it showed a secret; a public client has none to show

    @property
    def id(self) -> str:
        return self.client.id


async def authenticate(presented: Presented, server: AuthServer, trace: Trace) -> AuthenticatedClient:
    client = await server.ports.store.lookups.client(presented.client_id)
    fault = _fault(presented, client, server.client_ring)
    if client is None or fault:
        raise await _refuse(client, fault, server, trace)
    return AuthenticatedClient(client, proven=presented.method != NONE)


def _fault(presented: Presented, client: Client | None, ring: Ring) -> str:
    """Why not, or "". The secret is compared in every case."""
    expected = (_NOBODY,) if client is None else _expected(client, ring)
    shown = secrets.fingerprint(presented.secret or "")
    same = any(hmac.compare_digest(shown, one) for one in expected)
    if client is None:
        return "unknown client"
    if client.disabled:
        return "the client is disabled"
    if presented.method != client.auth_method:
        return f"the client authenticates by {client.auth_method}, not by {presented.method}"
    if client.auth_method is AuthMethod.NONE:
        return "" if client.kind is Kind.NATIVE else "only native clients are public"
    return "" if same else "wrong secret"


def _expected(client: Client, ring: Ring) -> tuple[bytes, ...]:
    """The fingerprints of the right secret. The BFF's is derived from the ring, so none is at rest; while a new key of
    the ring comes to one node after the other, the BFF may derive it from any of them."""
    if client.kind is Kind.BROWSER and client.auth_method is not AuthMethod.NONE:
        derived = (secrets.client_secret(Ring((one,)), client.id) for one in ring.all)
        return tuple(secrets.fingerprint(secret) for secret in derived)
    return (client.secret_fingerprint or _NOBODY,)


async def _refuse(client: Client | None, fault: str, server: AuthServer, trace: Trace) -> Refused:
    """Notes it in the events, but not without end: an address that goes on is only counted."""
    ports = server.ports
    ports.meter.count("client_refused")
    known = client.id if client is not None else None
    try:
        (counted,) = await ports.limits.take(Try("client.refused", privacy.counted(trace.address), _NOTED))
        noted = counted.allowed
    except Unavailable:
        noted = True
    if noted:
        async with ports.store.transaction() as records:
            await records.events.record(trace.event("client.refused", client_id=known, detail={"why": fault}))
    return no("invalid_client", fault)
