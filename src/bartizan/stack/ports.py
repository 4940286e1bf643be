"""The TCP ports of a start: asked for beforehand, so that a taken one is a sentence and not a dead server."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import tempfile
from pathlib import Path

from bartizan.stack.home import Trouble

_TRIES = 100


def choose(address: str, port: int, *, fixed: bool, word: str) -> int:
    """`port`, or the next free one where nobody fixed it. `word` is how to choose another."""
    wrong = taken(address, port)
    if wrong is None and (reserve(port) or fixed):
        return port
    if fixed:
        raise Trouble(_sentence(address, port, wrong or errno.EADDRINUSE, word))
    for other in range(port + 1, min(port + _TRIES, 65536)):
        if taken(address, other) is None and reserve(other):
            return other
    raise Trouble(f"The ports {port} to {port + _TRIES} of {address} are all in use. Choose another with {word}.")


def reserve(port: int) -> bool:
    """Some seconds lie between choosing and listening: two copies that start together must not choose the same.
    The lock lives as long as this process; its descriptor is left open for that."""
    path = Path(tempfile.gettempdir(), f"bz-{os.geteuid()}-port-{port}.lock")
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:  # then the port itself decides, a little later
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return False
    return True


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
