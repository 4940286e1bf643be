"""`serve gateway`: the agent beside an Envoy (flows §7). It opens no database and is handed none."""

from __future__ import annotations

import asyncio

from bartizan.gateway.agent import Agent
from bartizan.stack import compile as compiled
from bartizan.stack.effective import Effective
from bartizan.stack.listen import Door, listen, stop_on_signals
from bartizan.web.status import status_app


async def serve(at: Effective, name: str) -> None:
    stop = stop_on_signals()
    agent = Agent(compiled.gateway(at, ()))

    async def feed() -> bool:
        return agent.ready

    running = asyncio.create_task(agent.run(stop))
    running.add_done_callback(lambda _: stop.set())  # its end before ours is a defect: the supervisor starts anew
    status = status_app(name, {"feed": feed}, lambda: b"")
    await listen((Door(status, at.socket(f"status-{name}.sock")),), stop, None)
    await running
