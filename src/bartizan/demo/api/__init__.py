"""Snapshots' API: an ordinary Flask app, made a resource server by `bartizan.guard.flask`."""

from bartizan.demo.api.app import app_from, create_app

__all__ = ["app_from", "create_app"]
