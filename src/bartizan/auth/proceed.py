"""The state machine of an authorization: every page step ends here, and here alone a code is made (F§5)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from bartizan.auth.ports import AuthPorts
from bartizan.auth.settings import AuthSettings
from bartizan.auth.sso import SignedIn
from bartizan.model.clients import Client
from bartizan.model.codes import Interaction
from bartizan.protocol.oauth.authorize import AuthorizationRequest

Current = tuple[Interaction, AuthorizationRequest, Client]


async def current(request: Request, ports: AuthPorts, settings: AuthSettings) -> Current | None:
    """The authorization under way in this browser (`…-ix` cookie), for pages: "Sign in to Snapshots"."""
    raise NotImplementedError


async def proceed(
    request: Request,
    ports: AuthPorts,
    settings: AuthSettings,
    *,
    signed_in: SignedIn | None = None,
    home: str = "/account",
) -> Response:
    """303 to the next page, or to the client with its code. `signed_in`: the session just started in this
    request (its cookie goes out with the answer). Without an authorization under way: 303 to `home`."""
    raise NotImplementedError


async def deny(request: Request, ports: AuthPorts, settings: AuthSettings) -> Response:
    """The person said no (`consent-deny`, `cancel`): 303 to the client with `access_denied`; ends the interaction."""
    raise NotImplementedError
