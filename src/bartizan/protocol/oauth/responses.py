"""OAuth 2.1 §3.2.3: a value becomes JSON that no cache keeps. Refusals become JSON in `web.failure`."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from bartizan.protocol.oauth import scopes

NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}


class Answer(Struct, frozen=True):
    """Status, headers and JSON body, for whichever framework carries it."""

    status: int
    headers: dict[str, str]
    body: bytes


class Issue(Struct, frozen=True, kw_only=True):
    """What a grant came to: the tokens, ready to be said."""

    access_token: str
    expires_in: int
    scopes: tuple[str, ...]
    refresh_token: str | None = None
    id_token: str | None = None


def json_answer(value: object, status: int = 200) -> Answer:
    return Answer(status, NO_STORE, msgspec.json.encode(value))


def token_answer(issue: Issue) -> Answer:
    body: dict[str, object] = {
        "access_token": issue.access_token,
        "token_type": "Bearer",
        "expires_in": issue.expires_in,
        "scope": scopes.render(issue.scopes),
    }
    if issue.refresh_token is not None:
        body["refresh_token"] = issue.refresh_token
    if issue.id_token is not None:
        body["id_token"] = issue.id_token
    return json_answer(body)
