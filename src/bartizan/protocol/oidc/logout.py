"""OIDC RP-Initiated Logout 1.0: an app asks that its person be signed out here.

Anybody can make a browser open this address, so it acts at once only when an ID token of this very session came along;
else a page asks. A way back is taken only if the client registered exactly it.
"""

from __future__ import annotations

from urllib.parse import quote_plus

from msgspec import Struct

from bartizan.protocol.oauth.credentials import LONGEST_ID
from bartizan.protocol.oauth.errors import no
from bartizan.protocol.oauth.parameters import Parameters

LONGEST_HINT = 4096


class LogoutParameters(Struct, frozen=True, kw_only=True):
    """§2, as sent: nothing of it is proven."""

    id_token_hint: str | None
    client_id: str | None
    post_logout_redirect_uri: str | None
    state: str | None


class Hint(Struct, frozen=True):
    """What an ID token of ours says, expired or not."""

    client_id: str
    subject: str
    sid: str | None


class Back(Struct, frozen=True):
    """A registered address to return to. Built by `way_back` alone."""

    location: str


def parse(parameters: Parameters) -> LogoutParameters:
    return LogoutParameters(
        id_token_hint=parameters.get("id_token_hint", longest=LONGEST_HINT),
        client_id=parameters.get("client_id", longest=LONGEST_ID),
        post_logout_redirect_uri=parameters.get("post_logout_redirect_uri"),
        state=parameters.get("state", longest=2048),
    )


def hint(claims: dict[str, object]) -> Hint | None:
    """Of claims whose signature and issuer held."""
    audience, subject, sid = claims.get("aud"), claims.get("sub"), claims.get("sid")
    if not isinstance(audience, str) or not isinstance(subject, str):
        return None
    return Hint(audience, subject, sid if isinstance(sid, str) else None)


def named_client(sent: LogoutParameters, known: Hint | None) -> str | None:
    """§2: client_id and the hint's audience must be one client."""
    if known is None:
        return sent.client_id
    if sent.client_id is not None and sent.client_id != known.client_id:
        raise no("invalid_request", "client_id and id_token_hint name two clients")
    return known.client_id


def way_back(sent: LogoutParameters, registered: tuple[str, ...]) -> Back | None:
    """§3: exact match, or refused; without one, the signed-out page of our own."""
    uri = sent.post_logout_redirect_uri
    if uri is None:
        return None
    if uri not in registered:
        raise no("invalid_request", "post_logout_redirect_uri is not registered for this client")
    if sent.state is None:
        return Back(uri)
    return Back(f"{uri}{'&' if '?' in uri else '?'}state={quote_plus(sent.state)}")


def is_proven(known: Hint | None, *, user_id: str, session_id: str) -> bool:
    """The hint is of this session, so the app that asks is one that this person signed in to in it."""
    return known is not None and known.subject == user_id and known.sid == session_id
