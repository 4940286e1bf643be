"""What the commands share (design §7): the words that each of them takes, and the instance that they work on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from bartizan.stack.show import as_json, as_table

DEFAULT_DATA = Path(".bartizan")

Data = Annotated[Path, Parameter("--data", help="The data directory.")]
File = Annotated[Path | None, Parameter("--config", help="The file; bartizan.toml here, if there is one.")]
Json = Annotated[bool, Parameter("--json", negative=(), help="Print JSON.")]
Many = Parameter(consume_multiple=True, negative=())
Flag = Parameter(negative=())


def with_instance(config: Path | None, data: Path, work: Any) -> Any:
    """Runs `work(instance)` against the running or the stopped instance."""
    import asyncio

    from bartizan.stack.instance import opened

    async def run() -> Any:
        async with opened(data, config) as instance:
            return await work(instance)

    return asyncio.run(run())


def show(value: Any, json: bool) -> None:
    print(as_json(value) if json else as_table(value))


def confirmed(question: str) -> bool:
    """Asked where the answer is not `--yes` already, and on standard error: standard output is what came of it."""
    print(f"{question} Type yes: ", end="", file=sys.stderr, flush=True)
    try:
        return input().strip() == "yes"
    except EOFError:  # nobody is there to answer
        say("")
        return False


def say(text: str) -> None:
    """To the person at the keyboard, not into what a program reads."""
    print(text, file=sys.stderr, flush=True)
