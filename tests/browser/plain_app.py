"""The user's own app: ten lines of Flask that know nothing of Bartizan."""

from __future__ import annotations

import sys

from flask import Flask, request
from flask.typing import ResponseReturnValue

app = Flask(__name__)


@app.get("/api/me")
def me() -> ResponseReturnValue:
    return {"user": request.headers.get("X-Bartizan-User"), "headers": [list(pair) for pair in request.headers]}


@app.route("/api/<word>", methods=["POST"])
def post(word: str) -> ResponseReturnValue:
    sent = request.get_json(silent=True) or request.form
    return f"{request.headers.get('X-Bartizan-User')} sent {sent.get('word')} to {word}"


@app.get("/api/go")
def go() -> ResponseReturnValue:
    return "", 302, {"Location": f"http://127.0.0.1:{sys.argv[1]}/api/me"}


if __name__ == "__main__":
    app.run(port=int(sys.argv[1]), threaded=True)
