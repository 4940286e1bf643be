"""`model.health.Health` by asking the monitoring server over its socket."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bartizan.model.health import Overview
from bartizan.monitoring import ask


class HealthClient:
    def __init__(self, socket: Path) -> None:
        self._address = f"unix:{socket}"

    async def overview(self) -> Overview | None:
        body = await self._get("/overview")
        try:
            return None if body is None else msgspec.json.decode(body, type=Overview)
        except msgspec.MsgspecError:
            return None

    async def history(self) -> dict[str, list[tuple[float, float]]] | None:
        """Rates of the last hour by name (see `server.SERIES`): (Unix seconds, per second)."""
        body = await self._get("/history")
        try:
            return None if body is None else msgspec.json.decode(body, type=dict[str, list[tuple[float, float]]])
        except msgspec.MsgspecError:
            return None

    async def _get(self, target: str) -> bytes | None:
        try:
            answer = await ask.get(self._address, target, seconds=1.0)
        except (OSError, TimeoutError):
            return None
        return answer.body if answer.status == 200 else None
