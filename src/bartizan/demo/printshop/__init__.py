"""The print shop: somebody else's app, on its own origin, that uses Snapshots through plain OAuth (Authlib)."""

from bartizan.demo.printshop.app import app_from, create_app

__all__ = ["app_from", "create_app"]
