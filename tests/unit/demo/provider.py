"""A stand-in for Snapshots as the print shop sees it: provider and API on one loopback port, with plain rules."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from urllib.parse import urlencode

from flask import Flask, jsonify, redirect, request
from flask.typing import ResponseReturnValue
from werkzeug.serving import make_server

from bartizan.guard.testing import Issuer
from bartizan.protocol.jose import Signer

CLIENT, SECRET = "printshop", "shop-secret"


class Provider:
    def __init__(self) -> None:
        self.origin = ""
        self.ended = False  # the person ended the shop's access
        self.denies = False  # the person says no
        self.lifetime = 300
        self.refreshed = 0
        self.seen: list[str] = []  # Authorization headers of the API
        self._keys = Issuer()
        self._codes: dict[str, tuple[str, str]] = {}

    def app(self) -> Flask:
        app = Flask("provider")
        for rule, view, methods in (
            ("/.well-known/openid-configuration", self.metadata, ["GET"]),
            ("/authorize", self.authorize, ["GET"]),
            ("/token", self.token, ["POST"]),
            ("/jwks", lambda: jsonify(self._keys.jwks), ["GET"]),
            ("/api/photos", self.photos, ["GET"]),
            ("/api/photos/<photo_id>", self.delete, ["DELETE"]),
            ("/files/<file_id>/link", self.link, ["GET"]),
        ):
            app.add_url_rule(rule, rule, view, methods=methods)
        return app

    def metadata(self) -> ResponseReturnValue:
        return jsonify(
            issuer=self.origin,
            authorization_endpoint=f"{self.origin}/authorize",
            token_endpoint=f"{self.origin}/token",
            jwks_uri=f"{self.origin}/jwks",
            id_token_signing_alg_values_supported=["ES256"],
        )

    def authorize(self) -> ResponseReturnValue:
        asked = request.args
        assert asked["code_challenge_method"] == "S256"
        if self.denies:
            answer = {"error": "access_denied", "state": asked["state"], "iss": self.origin}
        else:
            code = secrets.token_urlsafe(8)
            self._codes[code] = (asked["code_challenge"], asked["nonce"])
            answer = {"code": code, "state": asked["state"], "iss": self.origin}
        return redirect(f"{asked['redirect_uri']}?{urlencode(answer)}", 303)

    def token(self) -> ResponseReturnValue:
        basic = base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode()
        assert basic == f"{CLIENT}:{SECRET}"
        if request.form["grant_type"] == "refresh_token":
            if self.ended:
                return jsonify(error="invalid_grant"), 400
            self.refreshed += 1
            return jsonify(self._tokens())
        challenge, nonce = self._codes.pop(request.form["code"])
        digest = hashlib.sha256(request.form["code_verifier"].encode()).digest()
        assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == challenge
        now = int(time.time())
        claims: dict[str, object] = {
            "iss": self.origin, "sub": "alice", "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": nonce,
            "name": "Alice Larsen",
        }  # fmt: skip
        return jsonify(
            self._tokens() | {"id_token": Signer(self._keys.private_jwk, "test", "ES256").sign(claims, "JWT")}
        )

    def photos(self) -> ResponseReturnValue:
        self.seen.append(request.headers["Authorization"])
        if self.ended:
            return jsonify(error="invalid_token"), 401
        rows = [
            {"id": "p1", "title": "Harbour <b>", "file_id": "f1"},
            {"id": "p2", "title": "Just added", "file_id": "new"},
            {"id": "p3", "title": "Soon", "file_id": None},
        ]
        return jsonify(photos=rows)

    def delete(self, photo_id: str) -> ResponseReturnValue:
        challenge = 'Bearer realm="api", error="insufficient_scope", scope="photos.write"'
        return jsonify(error="insufficient_scope"), 403, {"WWW-Authenticate": challenge}

    def link(self, file_id: str) -> ResponseReturnValue:
        variant = request.args["variant"]
        if (file_id, variant) == ("new", "thumb"):  # its thumbnail is still being made
            return jsonify(error="not_found"), 404
        return jsonify(url=f"{self.origin}/f/{file_id}/{variant}")

    def _tokens(self) -> dict[str, object]:
        return {
            "access_token": secrets.token_urlsafe(16),
            "refresh_token": secrets.token_urlsafe(16),
            "token_type": "Bearer",
            "expires_in": self.lifetime,
        }


@contextmanager
def running() -> Iterator[Provider]:
    provider = Provider()
    server = make_server("127.0.0.1", 0, provider.app(), threaded=True)
    provider.origin = f"http://id.localhost:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
