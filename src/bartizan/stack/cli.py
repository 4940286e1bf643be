"""The command line (design §7). Each command imports what it needs when it runs, so that all of them start fast.

Errors are sentences: what happened, and the one thing to do. Exit codes: 0 done, 1 refused or not there, 2 misused.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Literal

with suppress(ValueError):  # not the main thread: then the signal is not ours
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during these imports ends it without a trace

from cyclopts import App, CycloptsError

from bartizan.stack.client_commands import client
from bartizan.stack.command import DEFAULT_DATA, Data, File, Flag, Json, Many, confirmed, say, show, with_instance
from bartizan.stack.config import BrokenConfig
from bartizan.stack.home import Trouble
from bartizan.stack.session_commands import session
from bartizan.stack.show import as_json, as_table
from bartizan.stack.user_commands import user

with suppress(ValueError):
    signal.signal(signal.SIGINT, before)

app = App(name="bartizan", help="Sign-in, tokens, gateway, files and the rest, in front of your app.")
key = App(name="key", help="The keys that sign tokens.")
for group in (user, client, key, session):
    app.command(group)


@app.command
def up(
    *,
    demo: Annotated[bool, Flag] = False,
    app: str = "",
    spa: str = "",
    public: Annotated[tuple[str, ...], Many] = (),
    app_path: str = "/api/",
    https: Annotated[bool, Flag] = False,
    config: File = None,
    data: Data = DEFAULT_DATA,
    port: int | None = None,
    mode: Literal["cookie", "memory"] = "cookie",
    workers: int | None = None,
) -> None:
    """Start everything, in the foreground.

    Parameters
    ----------
    demo
        Snapshots, a small photo app, with people and a third party.
    app
        The address of your own app, e.g. http://127.0.0.1:5000.
    spa
        Its pages: a directory, or a development server's address.
    public
        Paths of the app that need no sign-in.
    app_path
        With --spa: what lies below goes to the app.
    https
        Encrypt, with a certificate authority of this copy's own.
    port
        Where browsers come in; 8080, or the next free one.
    mode
        Where the demo's app keeps its access token.
    workers
        How many processes answer for auth, frontend and files: auth.workers of the file, or 1.
    """
    with _ended_by_ctrl_c():
        from bartizan.stack.sources import Fronted
        from bartizan.stack.up import Words
        from bartizan.stack.up import up as start

    fronted = Fronted(app=app, spa=spa, public=public, prefix=app_path)
    words = Words(
        demo=demo, fronted=fronted, https=https, config=config, data=data, port=port, mode=mode, workers=workers
    )
    start(words, lambda text: print(text, flush=True), _tell)
    _tell("Stopped.")


@app.command
def status(*, data: Data = DEFAULT_DATA, json: Json = False) -> int:
    """What runs, where, and how much memory it takes."""
    from bartizan.stack.home import Home
    from bartizan.stack.show import status_lines
    from bartizan.stack.supervisor import NOTHING, ask

    home = Home(data)
    found = ask(home.sockets()) if home.held() else None
    print(as_json(found or NOTHING) if json else status_lines(found, data))
    return 0 if found and found["ready"] else 1


@app.command
def serve(*servers: str, config: File = None, data: Data = DEFAULT_DATA) -> int:
    """Run some of our servers in one process: auth frontend files worker monitoring gateway.

    Parameters
    ----------
    servers
        Which: one or more of these names.
    """
    from bartizan.stack.effective import new_ring
    from bartizan.stack.serve import SERVERS, run
    from bartizan.stack.up import effective_for

    unknown = [name for name in servers if name not in SERVERS]
    if unknown or not servers:
        raise Trouble(f"Name servers of {', '.join(SERVERS)}. Engines are started by `up`, or named in the file.")
    at = effective_for(config, data)
    if made := new_ring(at):
        say(made)
    return run(at, servers, "-".join(servers))


@app.command
def check(*, config: File = None, data: Data = DEFAULT_DATA, json: Json = False) -> int:
    """Read the file, tell every fault, and ask Envoy itself."""
    from bartizan.stack.inspect import check_file

    faults, warnings = check_file(config or Path("bartizan.toml"), data)
    if json:
        print(as_json({"faults": faults, "warnings": warnings}))
    else:
        for line in faults:
            print(line)
        for line in warnings:
            print(f"! {line}")
        if not faults:
            print("No faults.")
    return 1 if faults else 0


@app.command
def explain(key: str = "", *, json: Json = False) -> int:
    """What a key of bartizan.toml means, its type and its default. Without a key: all of them.

    Parameters
    ----------
    key
        As `auth.workers`, or the beginning of several, as `auth`.
    """
    from bartizan.stack.explain import explained

    rows = explained(key)
    print(as_json(rows) if json else as_table(rows))
    return 0


@app.command
def routes(*, config: File = None, data: Data = DEFAULT_DATA, json: Json = False) -> None:
    """Every path that the gateway answers, and who may call it."""
    from bartizan.stack.inspect import route_rows

    rows = route_rows(config, data)
    print(as_json(rows) if json else as_table(rows))


@app.command
def migrate(*, config: File = None, data: Data = DEFAULT_DATA, json: Json = False) -> None:
    """Bring the database to this release's schema."""
    from bartizan.stack.migrate import migrate as bring

    revision = with_instance(config, data, lambda instance: bring(instance.at))
    print(as_json({"revision": revision}) if json else f"The schema is at {revision}.")


@app.command
def doctor(*, config: File = None, data: Data = DEFAULT_DATA, json: Json = False) -> int:
    """Look for what could stop it: engines, ports, names, disk, key files; hold the event log to its seals."""
    from bartizan.stack.doctor import examine

    rows = examine(config, data)
    print(as_json(rows) if json else as_table(rows))
    return 1 if any(row["state"] == "bad" for row in rows) else 0


@app.command
def reset(*, data: Data = DEFAULT_DATA, yes: Annotated[bool, Flag] = False, json: Json = False) -> int:
    """Delete the data directory and all that it holds, after asking.

    Parameters
    ----------
    yes
        Do not ask.
    """
    from bartizan.stack.reset import delete, look

    look(data)
    if not yes and not confirmed(f"Delete everything in {data}: accounts, files, keys, logs?"):
        say("Nothing was deleted.")
        return 1
    delete(data)
    print(as_json({"deleted": str(data)}) if json else f"{data} is gone.")
    return 0


@app.command
def trust(*, data: Data = DEFAULT_DATA) -> None:
    """How to make this machine's browsers trust `up --https`. It changes nothing itself."""
    from bartizan.stack.authority import how_to_trust

    print(how_to_trust(data.absolute() / "ca"))


@key.command(name="list")
def key_list(*, config: File = None, data: Data = DEFAULT_DATA, json: Json = False) -> None:
    """The keys that are published."""
    from bartizan.stack import operations

    show(with_instance(config, data, operations.list_keys), json)


@key.command(name="rotate")
def key_rotate(*, config: File = None, data: Data = DEFAULT_DATA, json: Json = False) -> None:
    """Publish the next key now; it signs when all can know it."""
    from bartizan.stack import operations

    show(with_instance(config, data, operations.rotate_keys), json)


@key.command(name="withdraw")
def key_withdraw(kid: str, /, *, config: File = None, data: Data = DEFAULT_DATA, json: Json = False) -> None:
    """Take a leaked key away with all that it signed, everywhere within two seconds. Another signs at once.

    Parameters
    ----------
    kid
        Its id, as `key list` shows it.
    """
    from bartizan.stack import operations

    show(with_instance(config, data, lambda instance: operations.withdraw_key(instance, kid)), json)


@contextmanager
def _ended_by_ctrl_c() -> Iterator[None]:
    """At once, while nothing is begun: an import may lose a KeyboardInterrupt, raised where Python only prints it."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _tell(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def main() -> None:
    """The console script."""
    from importlib.metadata import version

    app.version = version("bartizan")
    try:
        code = app(sys.argv[1:], result_action="return_value", exit_on_error=False, print_error=True)
        sys.stdout.flush()
    except (Trouble, BrokenConfig) as wrong:
        print(wrong, file=sys.stderr)
        sys.exit(1)
    except CycloptsError:  # it has said what is wrong; its trace would bury that
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `… | head` has read enough; what is left must not be flushed into it either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
