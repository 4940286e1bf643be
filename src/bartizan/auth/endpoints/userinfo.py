"""OIDC Core §5.3: `/userinfo`, for an access token with `openid`, while nothing that it hangs on has ended."""

from __future__ import annotations

from uuid import UUID

import msgspec
from starlette.requests import Request

from bartizan.auth.endpoints import form
from bartizan.auth.issue import person
from bartizan.auth.server import AuthServer
from bartizan.protocol.oauth.access import AccessToken
from bartizan.protocol.oauth.errors import no
from bartizan.protocol.oauth.parameters import FORM
from bartizan.protocol.oauth.responses import json_answer
from bartizan.protocol.oidc import userinfo
from bartizan.protocol.refusal import Refused
from bartizan.protocol.web import bearer
from bartizan.web.headers import every, one
from bartizan.web.ready import Ready


class Userinfo:
    def __init__(self, server: AuthServer) -> None:
        self._server = server

    async def __call__(self, request: Request) -> Ready:
        try:
            return form.respond(json_answer(await self._answer(request)))
        except Refused as refused:
            return self._challenge(refused)

    async def _answer(self, request: Request) -> dict[str, object]:
        token = await self._token(request)
        userinfo.check_scope(token.scopes)
        standing = await self._server.ports.store.lookups.standing(UUID(token.gid), _subject(token))
        if standing.ended:
            raise no("invalid_token", "what the token hangs on has ended")
        user = standing.user
        if user is None or user.disabled:
            raise no("invalid_token", "the account is gone or locked")
        return userinfo.answer(token.subject, person(user), token.scopes)

    async def _token(self, request: Request) -> AccessToken:
        """RFC 6750 §2.1: the header alone. A token in the body beside it would be a second one (§2)."""
        try:
            text = bearer.token(every(request.scope, b"authorization"))
        except Refused as refused:
            raise no(refused.code, refused.note) from None
        if request.method == "POST" and (one(request.scope, b"content-type") or "").startswith(FORM):
            sent = await form.parameters(request)
            if sent.get("access_token"):
                raise no("invalid_request", "a token in the body")
        if text is None:
            raise Refused("", "", "no token", status=401)
        token = await self._server.read_access_token(text)
        if token is None:
            raise no("invalid_token", "the token does not hold")
        if token.csrf is not None and request.method != "GET":
            raise no("invalid_token", "a cookie token may only read here: there is no CSRF check (F§2)")
        return token

    def _challenge(self, refused: Refused) -> Ready:
        """RFC 6750 §3.1: no error code where no token came."""
        scope = "openid" if refused.code == "insufficient_scope" else ""
        value = bearer.challenge(
            self._server.settings.issuer, error=refused.code, description=refused.tell, scope=scope
        )
        body = {"error": refused.code, "error_description": refused.tell} if refused.code else {}
        answer = json_answer(body, refused.status)
        return form.respond(msgspec.structs.replace(answer, headers={**answer.headers, "www-authenticate": value}))


def _subject(token: AccessToken) -> UUID:
    try:
        return UUID(token.subject)
    except ValueError:
        raise no("invalid_token", "the token is a client's own, not a person's") from None
