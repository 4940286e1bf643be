"""X22: a process that has nearly no descriptors left says so by its readiness, while requests still work.

At the end of them new connections are taken and closed at once, by libuv, so the accept loop survives by itself.
"""

from __future__ import annotations

import os
import resource

SPARE = 0.1  # of all that it may have


async def enough() -> bool:
    """Not an exact count: it opens one itself."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        return True
    try:
        return len(os.listdir("/dev/fd")) < most * (1 - SPARE)  # noqa: PTH208 - the kernel's own, for a count
    except OSError:
        return False  # not even one for the question
