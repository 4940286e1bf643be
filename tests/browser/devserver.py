"""A Vite-like dev server, small: a page, a module, and a WebSocket that echoes (RFC 6455). Standard library only."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue

PAGE = b"""<!doctype html><html lang="en"><head><title>Dev</title><script type="module" src="/main.js"></script></head>
<body><p id="who">nobody</p><p id="socket">closed</p><p id="posted"></p>
<form id="f" method="post" action="/api/form"><input name="word" value="from the form"><button id="send">Send</button></form>
<button id="call">Call</button></body></html>"""

MODULE = b"""const put = (id, text) => { document.getElementById(id).textContent = text; };
const me = await fetch('/api/me');
put('who', me.ok ? (await me.json()).user : 'nobody ' + me.status);
const socket = new WebSocket(location.origin.replace('http', 'ws') + '/hmr', 'vite-hmr');
socket.onopen = () => socket.send('ping');
socket.onmessage = event => put('socket', event.data);
document.getElementById('call').onclick = async () => {
  const answer = await fetch('/api/post', {method: 'POST', headers: {'Content-Type': 'application/json'},
    body: JSON.stringify({word: 'from the script'})});
  put('posted', answer.status + ' ' + (await answer.text()));
};
"""

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lines = head.split("\r\n")
        path = lines[0].split(" ")[1].partition("?")[0]
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)
        }
        if headers.get("upgrade", "").lower() == "websocket":
            await _echo(reader, writer, headers)
        else:
            kind, body = ("text/javascript", MODULE) if path == "/main.js" else ("text/html; charset=utf-8", PAGE)
            writer.write(
                f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
                + body
            )
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, headers: dict[str, str]) -> None:
    accept = base64.b64encode(hashlib.sha1(headers["sec-websocket-key"].encode() + _GUID).digest()).decode()
    chosen = (
        f"Sec-WebSocket-Protocol: {headers['sec-websocket-protocol']}\r\n"
        if "sec-websocket-protocol" in headers
        else ""
    )
    writer.write(
        f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\n{chosen}\r\n".encode()
    )
    while True:
        first, second = await reader.readexactly(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack(">H", await reader.readexactly(2))
        mask = await reader.readexactly(4)
        data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(await reader.readexactly(size)))
        if first & 0x0F == 8:
            return
        text = b"echo " + data
        writer.write(bytes([0x81, len(text)]) + text)
        await writer.drain()


@contextmanager
def dev_server() -> Iterator[int]:
    """Runs it on a free loopback port, on a loop in a thread of its own; gives the port."""
    told: Queue[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = Queue()

    async def run() -> None:
        server = await asyncio.start_server(_serve, "127.0.0.1", 0)
        stop = asyncio.Event()
        told.put((int(server.sockets[0].getsockname()[1]), asyncio.get_running_loop(), stop))
        await stop.wait()
        server.close()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    port, loop, stop = told.get(timeout=10)
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
