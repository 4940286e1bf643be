"""Who is turned away in a rush waits a second for the page that says so, and the crowd that waits is bounded.

`Retry-After` holds the polite. Who ignores it and posts again at once would have a page rendered as often as our core
can render one, and every other request would wait for that. By the pause such a client has one page a second on each
of its connections; a person, who is told to come back in some seconds, does not notice.
"""

from __future__ import annotations

import asyncio

from starlette.responses import PlainTextResponse, Response

PAUSE = 1.0  # seconds
MOST = 512  # who pause at once. Each holds a request of some hundred bytes


class Turned:
    def __init__(self) -> None:
        self._pausing = 0

    async def pause(self) -> bool:
        """False at once: so many pause already that this one gets no page."""
        if self._pausing >= MOST:
            return False
        self._pausing += 1
        try:
            await asyncio.sleep(PAUSE)
        finally:
            self._pausing -= 1
        return True


def plainly(seconds: int) -> Response:
    """A sentence and the time: nothing of the request is read for it."""
    says = f"Many people are signing in. Go back and try again in {seconds} seconds.\n"
    return PlainTextResponse(says, 503, {"retry-after": str(seconds)})
