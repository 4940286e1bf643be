"""`python -m bartizan.demo.api`: Snapshots' API alone."""

from __future__ import annotations

import os

from bartizan.demo.api import app_from
from bartizan.demo.serve import serve, server

if __name__ == "__main__":
    serve(server(app_from(os.environ), os.environ["SNAPSHOTS_LISTEN"]))
