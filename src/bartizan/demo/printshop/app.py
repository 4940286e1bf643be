"""The print shop. Plain Authlib: code with PKCE, the secret by Basic, tokens in a session on the server.

The one thing of ours in it teaches this process that `*.localhost` is this machine (RFC 6761), which glibc does not
know. With real host names that line goes.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.flask_client import OAuth
from flask import Flask, Response, abort, jsonify, redirect, render_template, request, send_from_directory, session
from werkzeug.wrappers import Response as AnyResponse

from bartizan.demo.printshop.sessions import Pending, Sessions
from bartizan.demo.printshop.settings import Settings, read
from bartizan.demo.printshop.snapshots import AccessEnded, Away, Snapshots
from bartizan.guard import localhost

LOOK = Path(__file__).parents[1] / "spa" / "look"
STATIC = Path(__file__).parent / "static"


def app_from(environment: Mapping[str, str]) -> Flask:
    return create_app(read(environment))


def create_app(settings: Settings) -> Flask:
    localhost.install()
    app = Flask(__name__, static_folder=STATIC, static_url_path="/static")
    app.config.update(
        SECRET_KEY=secrets.token_bytes(32),  # signs a random name and nothing else
        SESSION_COOKIE_NAME="printshop",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.origin.startswith("https:"),
        MAX_CONTENT_LENGTH=64 * 1024,
    )
    oauth: Any = OAuth(app, cache=Pending())  # type: ignore[no-untyped-call] # Authlib has no types
    oauth.register(
        "snapshots",
        client_id=settings.client_id,
        client_secret=settings.client_secret,
        server_metadata_url=f"{settings.issuer}/.well-known/openid-configuration",
        client_kwargs={
            "scope": settings.scope,
            "code_challenge_method": "S256",
            "token_endpoint_auth_method": "client_secret_basic",
            "timeout": 10,
        },
    )
    shop = Shop(settings, oauth, Sessions())
    app.jinja_env.globals.update(settings=settings)
    for rule, view, methods in shop.rules():
        app.add_url_rule(rule, view_func=view, methods=methods)
    app.before_request(shop.own_forms_only)
    app.after_request(shop.headers)
    app.register_error_handler(Away, shop.away)
    app.register_error_handler(requests.RequestException, shop.away)
    return app


class Shop:
    def __init__(self, settings: Settings, oauth: Any, sessions: Sessions) -> None:
        self._settings = settings
        self._oauth = oauth
        self._sessions = sessions
        csp = (
            "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; base-uri 'none'; "
            f"img-src 'self' {settings.files}; connect-src 'self' {settings.api}; frame-ancestors 'none'; "
            f"form-action 'self' {settings.issuer}"
        )
        self._headers = {
            "Content-Security-Policy": csp,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "strict-origin",
        }

    def rules(self) -> list[tuple[str, Any, list[str]]]:
        return [
            ("/", self.home, ["GET"]),
            ("/connect", self.connect, ["POST"]),
            ("/callback", self.callback, ["GET"]),
            ("/disconnect", self.disconnect, ["POST"]),
            ("/try-delete", self.try_delete, ["POST"]),
            ("/page-token", self.page_token, ["GET"]),
            ("/look/<path:name>", self.look, ["GET"]),
        ]

    def home(self) -> str:
        return self._page()

    def connect(self) -> AnyResponse:
        answer: AnyResponse = self._oauth.snapshots.authorize_redirect(f"{self._settings.origin}/callback")
        answer.status_code = 303
        return answer

    def callback(self) -> AnyResponse | str:
        try:
            token = self._oauth.snapshots.authorize_access_token()
        except OAuthError as refused:
            return self._page(news="denied" if refused.error == "access_denied" else "failed")
        self._sessions.end(session.get("name"))  # a new session at each sign-in
        session["name"] = self._sessions.start()
        kept = self._kept()
        assert kept is not None
        kept.update(token=token, name=(token.get("userinfo") or {}).get("name", ""))
        return redirect("/", 303)

    def disconnect(self) -> AnyResponse:
        self._sessions.end(session.pop("name", None))
        return redirect("/", 303)

    def try_delete(self) -> str:
        """What a curious shop would do. It has no right to, and the answer says which one it lacks."""
        snapshots = self._snapshots()
        if snapshots is None:
            return self._page()
        try:
            answer = snapshots.delete(request.form.get("photo", ""))
        except AccessEnded:
            return self._ended()
        challenge = answer.headers.get("WWW-Authenticate", "")
        return self._page(attempt={"status": answer.status_code, "challenge": challenge})

    def page_token(self) -> Response | tuple[Response, int]:
        """For this page's own script, which calls Snapshots by itself: kept in a variable there, nowhere else."""
        snapshots = self._snapshots()
        if snapshots is None:
            return jsonify(error="not_connected"), 401
        try:
            answer = jsonify(access_token=snapshots.access_token())
        except AccessEnded:
            self._ended()
            return jsonify(error="access_ended"), 401
        answer.headers["Cache-Control"] = "no-store"
        return answer

    def look(self, name: str) -> Response:
        return send_from_directory(LOOK, name, max_age=3600)

    def own_forms_only(self) -> None:
        """A form on another page must not act here: the browser says where a POST comes from."""
        if request.method != "POST":
            return
        site = request.headers.get("Sec-Fetch-Site")
        if site != "same-origin" and not (site is None and request.headers.get("Origin") == self._settings.origin):
            abort(403)

    def headers(self, answer: AnyResponse) -> AnyResponse:
        for name, value in self._headers.items():
            answer.headers.setdefault(name, value)
        if not request.path.startswith(("/static/", "/look/")):
            answer.headers["Cache-Control"] = "no-store"
        return answer

    def away(self, _: Exception) -> tuple[str, int]:
        return render_template("shop.html", photos=None, name="", news="away", attempt=None), 503

    def _page(self, *, news: str = "", attempt: dict[str, Any] | None = None) -> str:
        snapshots = self._snapshots()
        if snapshots is None:
            return render_template("shop.html", photos=None, name="", news=news, attempt=None)
        try:
            photos = snapshots.photos()
        except AccessEnded:
            return self._ended()
        kept = self._kept() or {}
        return render_template("shop.html", photos=photos, name=kept.get("name", ""), news=news, attempt=attempt)

    def _ended(self) -> str:
        self._sessions.end(session.pop("name", None))
        return render_template("shop.html", photos=None, name="", news="ended", attempt=None)

    def _kept(self) -> dict[str, Any] | None:
        return self._sessions.of(session.get("name"))

    def _snapshots(self) -> Snapshots | None:
        kept = self._kept()
        return Snapshots(self._settings, self._oauth.snapshots, kept) if kept and "token" in kept else None
