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

from bartizan.guard import asgi
from bartizan.guard.policy import Token

__all__ = ["Guard", "Token"]


class Guard(asgi.Guard):
    """FastAPI's own pages (`/docs`, `/openapi.json`) declare nothing: name them in `public`, or they stay closed."""

    async def caller(self) -> Token:
        return self.user

    async def maybe_caller(self) -> Token | None:
        return self.maybe_user
