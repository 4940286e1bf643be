"""One raw ASGI app; a path is a floor. A POST's body is the bare token or code, nothing to parse around it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Record
from starlette.types import Receive, Scope, Send

from benchmarks.floor.connections import Connections
from benchmarks.floor.signing import Signer

Endpoint = Callable[[dict[bytes, bytes], bytes], Awaitable[tuple[int, bytes]]]

_ONE = """
    UPDATE families SET generation = generation + 1, rotated_at = now(),
        idle_until = least(now() + interval '14 days', absolute_until)
    WHERE id = $1 AND generation = $2 AND ended_at IS NULL AND idle_until > now() AND absolute_until > now()
    RETURNING id, user_id, client_id, generation, now() AS now
"""
_MANY = """
    WITH asked AS MATERIALIZED (SELECT * FROM unnest($1::uuid[], $2::int[]) AS asked (id, generation)
    ), held AS MATERIALIZED (
        SELECT id FROM families WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE families SET generation = families.generation + 1, rotated_at = now(),
        idle_until = least(now() + interval '14 days', absolute_until)
    FROM asked JOIN held USING (id)
    WHERE families.id = asked.id AND families.generation = asked.generation
        AND ended_at IS NULL AND idle_until > now() AND absolute_until > now()
    RETURNING families.id, user_id, client_id, families.generation, now() AS now
"""
_ENDED = "SELECT true FROM ended WHERE gid = $1 AND until > clock_timestamp()"
_USER = """
    SELECT name, email, verified FROM users JOIN identifiers ON user_id = users.id
    WHERE users.id = $1 AND NOT disabled AND NOT EXISTS (SELECT FROM ended WHERE gid = $2)
"""
_CODE = """
    INSERT INTO codes (fingerprint, client_id, user_id, session_id, code_challenge, scopes, audience, auth_time,
                       expires_at)
    SELECT $1, 'floor', user_id, id, $2, '{openid}', '{floor}', auth_time, now() + interval '1 minute'
    FROM sessions WHERE fingerprint = $3
    RETURNING session_id
"""
_REDEEM = """
    WITH spent AS (
        UPDATE codes SET family_id = $2, spent_at = now()
        WHERE fingerprint = $1 AND spent_at IS NULL AND expires_at > now() AND code_challenge = $3 RETURNING *
    )
    INSERT INTO families (id, user_id, client_id, session_id, scopes, audience, bff, auth_time, generation, key_id,
                          created_at, rotated_at, idle_until, absolute_until)
    SELECT $2, user_id, client_id, session_id, scopes, audience, false, auth_time, 1, 'floor', now(), now(),
           now() + interval '14 days', now() + interval '90 days' FROM spent
    RETURNING id, user_id, client_id, generation, now() AS now
"""


class Floor:
    def __init__(self, connections: Connections, scalar: int) -> None:
        self._connections = connections
        self._signer = Signer(scalar)
        self._clients = {b"client": "client"}
        self._waiting: list[tuple[UUID, int, asyncio.Future[Record | None]]] = []
        self._running = 0
        self._jwks = msgspec.json.encode({"keys": [{"kty": "EC", "crv": "P-256", "x": "x" * 43, "y": "y" * 43}]})
        self.endpoints: dict[str, Endpoint] = {
            "/refresh": self._refresh,
            "/refresh_coalesced": self._refresh_coalesced,
            "/client_credentials": self._client_credentials,
            "/introspection": self._introspection,
            "/userinfo": self._userinfo,
            "/jwks": self._static,
            "/authorize": self._authorize,
            "/token": self._redeem,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        if scope["method"] == "POST":
            more = True
            while more:
                message = await receive()
                body += message.get("body", b"")
                more = message.get("more_body", False)
        status, answer = await self.endpoints[scope["path"]](dict(scope["headers"]), body)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _refresh(self, headers: dict[bytes, bytes], body: bytes) -> tuple[int, bytes]:
        row = await self._connections.fetchrow(_ONE, *_held(body))
        return self._rotated(row)

    async def _refresh_coalesced(self, headers: dict[bytes, bytes], body: bytes) -> tuple[int, bytes]:
        """What waits while a statement runs shares the next one; two may be on their way, as in the product."""
        future: asyncio.Future[Record | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((*_held(body), future))
        if self._running < 2:
            self._running += 1
            await self._drain()
            self._running -= 1
        return self._rotated(await future)

    async def _drain(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:64], self._waiting[64:]
            rows = await self._connections.fetch(_MANY, [one[0] for one in batch], [one[1] for one in batch])
            found = {row["id"]: row for row in rows}
            for family, _, future in batch:
                future.set_result(found.get(family))

    def _rotated(self, row: Any) -> tuple[int, bytes]:
        if row is None:
            return 400, b'{"error":"invalid_grant"}'
        issued = int(row["now"].timestamp())
        token = self._access(str(row["user_id"]), row["client_id"], str(row["id"]), issued)
        family = row["id"].hex.encode()
        answer = b'{"access_token":"%b","token_type":"Bearer","expires_in":300,"refresh_token":"%b.%d"}'
        return 200, answer % (token, family, row["generation"])

    async def _client_credentials(self, headers: dict[bytes, bytes], body: bytes) -> tuple[int, bytes]:
        client = self._clients[body]
        token = self._access(client, client, str(UUID(bytes=os.urandom(16))), int(time.time()))
        return 200, b'{"access_token":"%b","token_type":"Bearer","expires_in":300}' % token

    async def _introspection(self, headers: dict[bytes, bytes], body: bytes) -> tuple[int, bytes]:
        claims = self._signer.verify(body)
        row = await self._connections.fetchrow(_ENDED, claims["gid"])
        return 200, b'{"active":false}' if row else msgspec.json.encode({"active": True, **claims})

    async def _userinfo(self, headers: dict[bytes, bytes], body: bytes) -> tuple[int, bytes]:
        claims = self._signer.verify(headers[b"authorization"][7:])
        row = await self._connections.fetchrow(_USER, claims["sub"], claims["gid"])
        answer = {"sub": claims["sub"], "name": row["name"], "email": row["email"], "email_verified": row["verified"]}
        return 200, msgspec.json.encode(answer)

    async def _static(self, headers: dict[bytes, bytes], body: bytes) -> tuple[int, bytes]:
        return 200, self._jwks

    async def _authorize(self, headers: dict[bytes, bytes], body: bytes) -> tuple[int, bytes]:
        """The living session is read and the code written in one statement; the body is the challenge."""
        code = urlsafe_b64encode(os.urandom(32)).rstrip(b"=")
        session = hashlib.sha256(headers[b"cookie"]).digest()
        row = await self._connections.fetchrow(_CODE, hashlib.sha256(code).digest(), body.decode(), session)
        return (200, b'{"code":"%b"}' % code) if row else (400, b"{}")

    async def _redeem(self, headers: dict[bytes, bytes], body: bytes) -> tuple[int, bytes]:
        """Body: code, space, verifier. Two signatures: access token and ID token."""
        code, _, verifier = body.partition(b" ")
        challenge = urlsafe_b64encode(hashlib.sha256(verifier).digest()).rstrip(b"=").decode()
        row = await self._connections.fetchrow(_REDEEM, hashlib.sha256(code).digest(), _new_id(), challenge)
        if row is None:
            return 400, b"{}"
        issued = int(row["now"].timestamp())
        identity = self._access(str(row["user_id"]), row["client_id"], str(row["id"]), issued)
        status, answer = self._rotated(row)
        return status, answer[:-1] + b',"id_token":"%b"}' % identity

    def _access(self, subject: str, client: str, gid: str, issued: int) -> bytes:
        return self._signer.sign(
            {
                "iss": "http://id.localhost:8080", "sub": subject, "aud": ["http://app.localhost:8080"],
                "client_id": client, "scope": "photos.read", "iat": issued,
                "exp": issued + 300, "jti": os.urandom(16).hex(), "gid": gid,
            }
        )  # fmt: skip


def _held(body: bytes) -> tuple[UUID, int]:
    family, _, generation = body.partition(b".")
    return UUID(family.decode()), int(generation)


def _new_id() -> UUID:
    return UUID(int=int(time.time() * 1000) << 80 | 7 << 76 | 2 << 62 | int.from_bytes(os.urandom(7), "big"))
