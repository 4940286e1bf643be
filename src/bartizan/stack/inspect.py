"""`bartizan check` and `bartizan routes`: what a file would become, without starting anything."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from bartizan.gateway import envoy
from bartizan.stack import check, parts, wiring
from bartizan.stack import compile as compiled
from bartizan.stack.config import BrokenConfig
from bartizan.stack.effective import Effective
from bartizan.stack.home import Home, Trouble
from bartizan.stack.schema import Config
from bartizan.stack.sources import from_file
from bartizan.stack.up import FILE, effective_for


def check_file(file: Path, data: Path) -> tuple[list[str], list[str]]:
    """(faults, warnings) as sentences. Without a fault of ours, Envoy itself is asked."""
    if not file.exists():
        raise Trouble(f"There is no {file}. Name the file with --config.")
    try:
        config = from_file(file)
    except BrokenConfig as broken:
        return [fault.sentence(str(file)) for fault in broken.faults], []
    weak = [fault.sentence(str(file)) for fault in check.warnings(config)]
    at = imagined(config, file.absolute().parent, data)
    faults = [f"{file}: {wrong}" for wrong in _missing(at)]
    if not faults and (said := asyncio.run(_validated(at))):
        faults.append(f"Envoy does not take it: {said}")
    return faults, weak


def imagined(config: Config, base: Path, data: Path) -> Effective:
    """Where things would lie. Nothing is made."""
    home = Home(data)
    return Effective(
        config=config, data=str(home.data), sockets=str(home.sockets()), engines=str(home.data), base=str(base)
    )


def route_rows(file: Path | None, data: Path) -> list[dict[str, Any]]:
    """Every path the gateway answers: ours, then the file's."""
    if file is None and not FILE.exists() and Home(data).path("effective.json").exists():
        at = effective_for(None, data)
    else:
        config = from_file(file or FILE) if file or FILE.exists() else Config()
        at = imagined(config, (file or FILE).absolute().parent, data)
    return asyncio.run(_rows(at))


async def _rows(at: Effective) -> list[dict[str, Any]]:
    handed = await parts.idle(at)
    try:
        own = wiring.own_servers(handed)
    finally:
        await handed.close()
    rows = [
        {
            "origin": str(route.origin),
            "methods": list(route.methods),
            "path": route.path,
            "server": server.name,
            "who": str(route.who) + (f" {route.scope}" if route.scope else ""),
            "limit": route.limit,
        }
        for server in own
        for route in server.routes
    ]
    rows += [
        {
            "origin": "app",
            "methods": ["*"],
            "path": row.path,
            "server": row.to,
            "who": str(row.access) + (f" {row.scope}" if row.scope else ""),
            "limit": row.limit,
        }
        for row in compiled.gateway(at, own).app_routes
    ]
    return rows


async def _validated(at: Effective) -> str:
    handed = await parts.idle(at)
    try:
        settings = compiled.gateway(at, wiring.own_servers(handed))
    finally:
        await handed.close()
    return await asyncio.to_thread(envoy.validate, settings)


def _missing(at: Effective) -> list[str]:
    """Files that the configuration names and that are not there."""
    tls = at.config.gateway.tls
    named = {f"route[{n}].spa": row.spa for n, row in enumerate(at.config.route) if row.spa and "://" not in row.spa}
    if tls.mode == "files":
        named |= {"gateway.tls.certificate": tls.certificate, "gateway.tls.key": tls.key}
    return [f"{key}: there is no {path}." for key, path in named.items() if not at.from_file(path).exists()]
