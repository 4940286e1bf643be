"""The TCP ports of a start: asked for beforehand, so that a taken one is a sentence and not a dead server."""

from __future__ import annotations

import errno
import socket

from bartizan.stack.home import Trouble

_TRIES = 100


def choose(address: str, port: int, *, fixed: bool, word: str) -> int:
    """`port`, or the next free one where nobody fixed it. `word` is how to choose another."""
    wrong = taken(address, port)
    if wrong is None:
        return port
    if fixed:
        raise Trouble(_sentence(address, port, wrong, word))
    for other in range(port + 1, min(port + _TRIES, 65536)):
        if taken(address, other) is None:
            return other
    raise Trouble(f"The ports {port} to {port + _TRIES} of {address} are all in use. Choose another with {word}.")


def taken(address: str, port: int) -> int | None:
    """The errno of trying; None when it is free. Without SO_REUSEPORT: two Envoys would share a port silently."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address, port))
            trial.listen(1)
        except OSError as wrong:
            return wrong.errno or errno.EADDRINUSE
    return None


def _sentence(address: str, port: int, wrong: int, word: str) -> str:
    if wrong == errno.EACCES:
        return f"Port {port} may be used by root alone. Choose one above 1023 with {word}."
    if wrong == errno.EADDRNOTAVAIL:
        return f"This machine has no address {address}. Correct gateway.address."
    return f"Port {port} is in use by another program. Stop that, or choose another port with {word}."
