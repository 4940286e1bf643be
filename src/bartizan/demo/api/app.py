"""Snapshots' API and its two plain pages. What makes it a resource server is each line that says `guard`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

import msgspec
from flask import Flask, Response, abort, jsonify, redirect, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from bartizan.demo.api.photos import TITLE_LIMIT, Photos
from bartizan.demo.api.settings import Settings, read
from bartizan.guard.flask import Guard
from bartizan.guard.gate import Source

LOOK = Path(__file__).parents[1] / "spa" / "look"


class NewPhoto(msgspec.Struct, forbid_unknown_fields=True):
    title: str
    file_id: UUID


def app_from(environment: Mapping[str, str]) -> Flask:
    return create_app(read(environment))


def create_app(settings: Settings, *, source: Source | None = None) -> Flask:
    """`source` replaces keys from the network, in tests."""
    app = Flask(__name__, static_folder=LOOK, static_url_path="/views/look")
    app.config.update(MAX_CONTENT_LENGTH=8 * 1024 * 1024, SEND_FILE_MAX_AGE_DEFAULT=3600)
    app.jinja_env.globals.update(unsafe_titles=settings.unsafe_titles, title_limit=TITLE_LIMIT)
    guard = Guard(
        app,
        issuer=settings.issuer,
        audience=settings.audience,
        app_origin=settings.app_origin,
        public=("static",),
        source=source,
    )
    photos = Photos(settings.data / "photos.sqlite")
    app.register_error_handler(HTTPException, _problem)
    _api(app, guard, photos, settings)
    _views(app, guard, photos)
    return app


def _api(app: Flask, guard: Guard, photos: Photos, settings: Settings) -> None:
    @app.get("/api/photos")
    @guard.scopes("photos.read")
    def list_photos() -> Response:
        return jsonify(photos=[msgspec.to_builtins(photo) for photo in photos.of(guard.user.sub)])

    @app.post("/api/photos")
    @guard.scopes("photos.write")
    @guard.limit("120/minute")
    def add_photo() -> tuple[Response, int]:
        new = _json(NewPhoto)
        photo = photos.add(guard.user.sub, _title(new.title), new.file_id)
        return jsonify(msgspec.to_builtins(photo)), 201

    @app.delete("/api/photos/<photo_id>")
    @guard.scopes("photos.write")
    def delete_photo(photo_id: str) -> tuple[str, int]:
        return ("", 204) if photos.delete(guard.user.sub, photo_id) else abort(404)

    @app.get("/api/whoami")
    @guard.signed_in()
    def whoami() -> Response:
        return jsonify(sub=guard.user.sub, scopes=sorted(guard.user.scopes), client=guard.user.client_id)

    @app.post("/api/echo")
    @guard.signed_in()
    def echo() -> Response:
        """How much arrived: a big request can be followed through renewal."""
        return jsonify(length=len(request.get_data()))

    @app.get("/api/shared")
    @guard.scopes("photos.read")
    @guard.cors(*([settings.print_origin] if settings.print_origin else [settings.app_origin]))
    def shared() -> Response:
        """The one route that the print shop's own page may read. `?fail=1` shows an error from there."""
        if request.args.get("fail") == "1":
            abort(500)
        return jsonify(count=photos.count(guard.user.sub))


def _views(app: Flask, guard: Guard, photos: Photos) -> None:
    @app.get("/views/photos")
    @guard.scopes("photos.read")
    def view_photos() -> str:
        return render_template("photos.html", photos=photos.of(guard.user.sub), fault="", typed="")

    @app.post("/views/photos")
    @guard.scopes("photos.write", csrf="form")
    @guard.limit("120/minute")
    def view_add() -> AnyResponse | tuple[str, int]:
        typed = request.form.get("title", "")
        fault = _fault(typed)
        if fault:
            return render_template("photos.html", photos=photos.of(guard.user.sub), fault=fault, typed=typed), 400
        photos.add(guard.user.sub, typed.strip(), None)
        return redirect("/views/photos", 303)

    @app.get("/views/photos/<photo_id>/edit")
    @guard.scopes("photos.read")
    def view_edit(photo_id: str) -> str:
        photo = photos.one(guard.user.sub, photo_id) or abort(404)
        return render_template("edit.html", photo=photo, fault="", typed=photo.title)

    @app.post("/views/photos/<photo_id>/edit")
    @guard.scopes("photos.write", csrf="form")
    def view_rename(photo_id: str) -> AnyResponse | tuple[str, int]:
        photo = photos.one(guard.user.sub, photo_id) or abort(404)
        typed = request.form.get("title", "")
        fault = _fault(typed)
        if fault:
            return render_template("edit.html", photo=photo, fault=fault, typed=typed), 400
        photos.rename(guard.user.sub, photo_id, typed.strip())
        return redirect("/views/photos", 303)


def _json(kind: type[NewPhoto]) -> NewPhoto:
    if request.mimetype != "application/json":
        abort(415)
    try:
        return msgspec.json.decode(request.get_data(), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        abort(400)


def _title(text: str) -> str:
    if _fault(text):
        abort(400)
    return text.strip()


def _fault(title: str) -> str:
    """What is wrong with a title, in words for its author; "" when nothing is."""
    if not title.strip():
        return "A photo needs a title."
    if len(title.strip()) > TITLE_LIMIT:
        return f"A title has at most {TITLE_LIMIT} characters. This one has {len(title.strip())}."
    if any(ord(character) < 32 for character in title):
        return "A title is one line."
    return ""


def _problem(error: HTTPException) -> AnyResponse:
    """JSON for the API, a plain page for people."""
    status = error.code or 500
    if request.path.startswith("/api/"):
        answer: AnyResponse = jsonify(error=error.name.lower().replace(" ", "_"))
    else:
        answer = Response(render_template("problem.html", status=status), mimetype="text/html")
    answer.status_code = status
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            answer.headers[name] = value
    return answer
