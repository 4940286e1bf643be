"""A real Flask app behind the guard, the gateway bypassed; `ran` tells which handlers were reached."""

from __future__ import annotations

from flask import Flask, Response, render_template_string, request, send_file
from flask.testing import FlaskClient

from bartizan.guard.flask import Guard
from bartizan.guard.testing import Issuer
from bartizan.protocol.web.cors import PublicRead

PRINT = "http://print.localhost:8080"
PAGE = """<script nonce="{{ csp_nonce() }}"></script><style nonce="{{ csp_nonce() }}"></style>
<form>{{ csrf_field() }}</form>"""


class Bench:
    def __init__(self) -> None:
        self.now = 1_893_456_000.0
        self.issuer = Issuer(clock=lambda: self.now)
        self.ran: list[str] = []
        self.app = Flask("bench")
        self.guard = self._guard(self.app)
        self._routes(self.app, self.guard)
        self.client: FlaskClient = self.app.test_client()

    def _guard(self, app: Flask) -> Guard:
        issuer = self.issuer
        guard = Guard(
            app,
            issuer=issuer.issuer,
            audience=issuer.audience,
            app_origin=issuer.app_origin,
            csp={"img-src": ["http://files.localhost:8080"]},
            source=issuer,
        )
        guard.gate._clock = lambda: self.now
        return guard

    def _routes(self, app: Flask, guard: Guard) -> None:
        @app.get("/photos")
        @guard.scopes("photos.read")
        @guard.cors(PRINT)
        def photos() -> dict[str, str]:
            self.ran.append("photos")
            return {"sub": guard.user.sub, "client": guard.user.client_id}

        @app.post("/photos")
        @guard.scopes("photos.write")
        def upload() -> dict[str, str]:
            self.ran.append("upload")
            return {"sub": guard.user.sub}

        @app.post("/form")
        @guard.scopes("photos.write", csrf="form", form_limit=1000)
        def form() -> str:
            self.ran.append("form")
            return request.form["title"]

        @app.post("/beacon")
        @guard.signed_in(csrf="origin")
        def beacon() -> str:
            self.ran.append("beacon")
            return "ok"

        @app.get("/page")
        @guard.optional()
        @guard.csp({"style-src": ["https://fonts.example"]})
        def page() -> str:
            return render_template_string(PAGE)

        @app.get("/open")
        @guard.public()
        @guard.cors(PublicRead())
        def open_() -> str:
            return "nobody" if guard.maybe_user is None else "somebody"

        @app.get("/forgotten")
        def forgotten() -> str:
            self.ran.append("forgotten")
            return "secret"

        @app.get("/limited")
        @guard.signed_in()
        @guard.limit("2/minute")
        def limited() -> str:
            return "ok"

        @app.get("/broken")
        @guard.signed_in()
        @guard.cors(PRINT)
        def broken() -> str:
            raise ZeroDivisionError

        @app.get("/cached")
        @guard.signed_in()
        def cached() -> Response:
            return send_file(__file__)
