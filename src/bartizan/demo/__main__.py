"""`python -m bartizan.demo`: Snapshots' API and the print shop, two strangers in one process to save memory."""

from __future__ import annotations

import gc
import os

if __name__ == "__main__":
    gc.disable()  # nothing of the imports is garbage: not to look for any makes the start a tenth shorter
    from bartizan.demo import api, printshop
    from bartizan.demo.serve import serve, server

    servers = (
        server(printshop.app_from(os.environ), os.environ["PRINTSHOP_LISTEN"]),
        server(api.app_from(os.environ), os.environ["SNAPSHOTS_LISTEN"]),
    )
    gc.freeze()
    gc.enable()
    serve(*servers)
