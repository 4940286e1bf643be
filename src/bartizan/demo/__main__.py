"""`python -m bartizan.demo`: Snapshots' API and the print shop, two strangers in one process to save memory."""

from __future__ import annotations

import os

from bartizan.demo import api, printshop
from bartizan.demo.serve import serve, server

if __name__ == "__main__":
    serve(
        server(printshop.app_from(os.environ), os.environ["PRINTSHOP_LISTEN"]),
        server(api.app_from(os.environ), os.environ["SNAPSHOTS_LISTEN"]),
    )
