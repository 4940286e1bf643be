"""The auth server in another process: HTTP over its Unix socket, or to its address."""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urlsplit

import httpx2

from bartizan.frontend.way import ANSWER_LIMIT, NoAnswer, Question, Reply


class Outside:
    """`address`: "unix:/…/auth.sock" or "https://id.example.com".

    The transport by itself, without a client around it: no redirects, and no jar in which one person's cookie could
    wait for the next one's question.
    """

    def __init__(self, address: str, id_origin: str) -> None:
        if address.startswith("unix:"):
            # No TLS on a socket of our own, so a context without authorities: to load them takes a tenth of a second.
            self._transport = httpx2.AsyncHTTPTransport(
                verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), uds=address.removeprefix("unix:"), trust_env=False
            )
            self._base = f"http://{urlsplit(id_origin).netloc}"  # the Host header is still that of the id origin
        else:
            self._transport = httpx2.AsyncHTTPTransport(trust_env=False)
            self._base = address.rstrip("/")

    async def ask(self, question: Question, seconds: float) -> Reply:
        request = httpx2.Request(
            question.method,
            self._base + question.path,
            headers=question.headers,
            content=question.body,
            extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), seconds)},
        )
        try:
            async with asyncio.timeout(seconds):
                return await self._send(request)
        except (httpx2.TransportError, OSError):  # TimeoutError is one of the latter
            raise NoAnswer from None

    async def close(self) -> None:
        """For tests and orderly ends: a process that ends closes its sockets anyway."""
        await self._transport.aclose()

    async def _send(self, request: httpx2.Request) -> Reply:
        answer = await self._transport.handle_async_request(request)
        try:
            body = b""
            async for piece in answer.aiter_raw():
                body += piece
                if len(body) > ANSWER_LIMIT:
                    raise NoAnswer
            return Reply(answer.status_code, tuple((name.lower(), value) for name, value in answer.headers.raw), body)
        finally:
            await answer.aclose()
