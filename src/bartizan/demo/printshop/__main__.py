"""`python -m bartizan.demo.printshop`: the print shop alone."""

from __future__ import annotations

import os

from bartizan.demo.printshop import app_from
from bartizan.demo.serve import serve, server

if __name__ == "__main__":
    serve(server(app_from(os.environ), os.environ["PRINTSHOP_LISTEN"]))
