"""A mail server of the test's own: takes, refuses, hangs, or falls silent between DATA and its answer."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from email import message_from_bytes
from email.message import Message
from typing import IO, cast


class Sink:
    """What it does to a mail, the recipient's name says: `450…@`, `550…@`, `hang…@`; others are taken.

    `hold`: a mail is kept, but its sender never hears so.
    """

    def __init__(self, port: int = 0) -> None:
        self._door = socket.socket()
        self._door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._door.bind(("127.0.0.1", port))
        self._door.listen(128)
        self.port = int(self._door.getsockname()[1])
        self.mails: list[Message] = []
        self.hold = False
        self.came = threading.Event()
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for one in (self._door, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._door.accept()
            except OSError:
                return
            self._open.append(line)
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        with suppress(OSError), line.makefile("rwb") as talk:
            self._talk(cast("IO[bytes]", talk))
        line.close()

    def _talk(self, talk: IO[bytes]) -> None:
        def say(text: str) -> None:
            talk.write(f"{text}\r\n".encode())
            talk.flush()

        say("220 sink")
        while words := talk.readline():
            verb = words[:4].upper()
            if verb == b"RCPT":
                name = words.partition(b"<")[2]
                if name.startswith(b"hang"):
                    talk.readline()  # nothing comes until the other side gives up
                    return
                say({b"450": "450 later", b"550": "550 nobody"}.get(name[:3], "250 yes"))
            elif verb == b"DATA":
                say("354 go on")
                if not self._take(talk):
                    return
                say("250 taken")
            elif verb == b"QUIT":
                say("221 bye")
                return
            else:
                say("250 yes")

    def _take(self, talk: IO[bytes]) -> bool:
        data = b""
        while (row := talk.readline()) != b".\r\n":
            if not row:
                return False
            data += row
        self.mails.append(message_from_bytes(data))
        self.came.set()
        if self.hold:
            talk.readline()  # the sender's end of the line is all that comes
            return False
        return True
