"""FastAPI: the ASGI guard, and the dependency that gives a path function its caller.

    app = FastAPI()
    guard = Guard(app, issuer=…, audience=…, app_origin=…)

    @app.get("/api/photos")
    @guard.scopes("photos.read")
    async def photos(user: Annotated[Token, Depends(guard.caller)]): ...

Access is declared by the decorators, not by dependencies: these run after FastAPI has read the body, and a route that
forgot one would be open. The decorators stand below `@app.get`, on the function itself.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from starlette.routing import BaseRoute, Route

from bartizan.guard import asgi
from bartizan.guard.policy import Token

__all__ = ["Guard", "Token"]


class Guard(asgi.Guard):
    """FastAPI's own pages (`/docs`, `/openapi.json`) declare nothing: name them in `public`, or they stay closed."""

    _flat: tuple[int, tuple[BaseRoute, ...]] = (-1, ())

    async def caller(self) -> Token:
        return self.user

    async def maybe_caller(self) -> Token | None:
        return self.maybe_user

    def _tree(self) -> Iterable[BaseRoute]:
        """Newer FastAPI keeps an included router as one opaque route, and lists what is in it by a function."""
        routes = self._app.routes
        if self._flat[0] != len(routes):
            contexts = getattr(sys.modules.get("fastapi.routing"), "iter_route_contexts", None)
            flat = tuple(routes) if contexts is None else tuple(_plain(context) for context in contexts(routes))
            self._flat = (len(routes), flat)
        return self._flat[1]


def _plain(context: Any) -> BaseRoute:
    """A route as Starlette writes it, under the path at which it is included."""
    route: BaseRoute = context.route
    if isinstance(route, Route) and context.path != route.path:
        return Route(context.path, context.endpoint, methods=context.methods, name=context.name)
    return route
