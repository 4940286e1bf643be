"""`python -m bartizan.stack.nursery EFFECTIVE SET…`: imports once what our servers need, and forks each of them.

A server's start is mostly imports, and so is a restart after `kill -9`. Here they are done once; a fork takes some
milliseconds and shares the pages (decision 0009). It holds no secret, opens no connection and has one thread: a fork
with a second one is refused, and the supervisor then starts that server the long way, by `serve`. Linux alone.

A SET is servers joined by "+": learnt in this order, unless one is asked for before its turn.
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import NoReturn

import msgspec

from bartizan.stack import serve
from bartizan.stack.child import die_with
from bartizan.stack.effective import Effective, read
from bartizan.stack.forked import Birth, Born

_FRAME = 4096  # bytes of a request, which is one packet
_HANDLES = 2
_COMMON = ("uvloop", "bartizan.monitoring.logs", "bartizan.stack.listen", "bartizan.web.status")
# What `stack.wiring` imports when it builds a server. One that is missing here is imported after the fork: slower,
# and not shared, but right.
LESSONS: dict[str, tuple[str, ...]] = {
    "gateway": ("bartizan.stack.agent",),
    "auth": (
        "bartizan.stack.wiring",
        "bartizan.auth.app",
        "bartizan.auth.passwords",
        "bartizan.gateway.compiler.bootstrap",
        "bartizan.gateway.compiler.published",
        "bartizan.gateway.envoy",
        "bartizan.gateway.publish",
        "bartizan.monitoring.health_client",
        "bartizan.stack.settle",
    ),
    "frontend": ("bartizan.stack.wiring", "bartizan.frontend.app"),
    "files": ("bartizan.stack.wiring", "bartizan.files.app", "bartizan.files.checks"),
    "worker": (
        "bartizan.stack.wiring",
        "bartizan.auth.jobs",
        "bartizan.auth.mailjobs",
        "bartizan.database.jobs",
        "bartizan.files.jobs",
        "bartizan.monitoring.jobs",
        "bartizan.worker.inbox.app",
        "bartizan.worker.inbox.sink",
        "bartizan.worker.run",
        "bartizan.worker.smtp",
    ),
    "monitoring": ("bartizan.stack.wiring", "bartizan.monitoring.server"),
}


def main(words: list[str]) -> int:
    serve.lighten()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    file, *sets = words
    line = socket.socket(fileno=int(os.environ.pop("BARTIZAN_LINE")))
    at = read(Path(file))
    supervisor = os.getppid()
    for word in sets:
        while select.select([line], [], [], 0)[0]:
            if not _answer(line, at, supervisor):
                return 0
        learn(tuple(word.split("+")))
    while _answer(line, at, supervisor):
        pass
    return 0


def learn(servers: tuple[str, ...]) -> None:
    for name in (*_COMMON, *(name for server in servers for name in LESSONS[server])):
        importlib.import_module(name)


def _answer(line: socket.socket, at: Effective, supervisor: int) -> bool:
    """One request: forks, tells the pid, and only then lets it run. False when the supervisor has gone."""
    packet, handles, _, _ = socket.recv_fds(line, _FRAME, _HANDLES)
    if not packet:
        return False
    wanted = msgspec.json.decode(packet, type=Birth)
    learn(wanted.servers)
    gc.freeze()  # what there is now is never moved or looked at by a child's collector, so its pages stay shared
    go, hold = os.pipe()
    pid = _fork(line, hold, wanted, handles, at, supervisor, go) if _alone() else 0
    os.close(go)
    for handle in handles:
        os.close(handle)
    try:
        line.send(msgspec.json.encode(Born(pid)))
        os.write(hold, b"!")  # a child that never hears this ends
    except OSError:
        return False
    finally:
        os.close(hold)
    return True


def _alone() -> bool:
    """A lock that another thread holds would stay locked in the child for ever."""
    return len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208 - no Path is needed for a count


def _fork(
    line: socket.socket, hold: int, wanted: Birth, handles: list[int], at: Effective, supervisor: int, go: int
) -> int:
    """By a process in between that ends at once: the kernel then gives the child to the supervisor, which adopts
    orphans, hears of its end, and takes it along when it dies itself."""
    tell, told = os.pipe()
    between = os.fork()
    if between == 0:
        pid = os.fork()
        if pid == 0:
            for handle in (tell, told, hold):
                os.close(handle)
            line.close()
            _live(wanted, handles, at, supervisor, go)
        os.write(told, pid.to_bytes(8, "big"))
        os._exit(0)
    os.close(told)
    os.waitpid(between, 0)
    pid = int.from_bytes(os.read(tell, 8), "big")
    os.close(tell)
    return pid


def _live(wanted: Birth, handles: list[int], at: Effective, supervisor: int, go: int) -> NoReturn:
    """What `serve` does with a process of its own. Nothing of the nursery's stack is ever returned to."""
    code = 1
    try:
        os.setsid()
        if os.read(go, 1):
            os.close(go)
            die_with(supervisor, signal.SIGTERM)
            out, *answer = handles
            os.dup2(out, 1)
            os.dup2(out, 2)
            os.close(out)
            if answer:
                os.environ["BARTIZAN_ANSWER"] = str(answer[0])
            Path("/proc/self/comm").write_text(f"bz-{wanted.name}")
            code = serve.run(at, wanted.servers, wanted.name)
    except BaseException:  # the top of this process: there is nobody above to tell
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
