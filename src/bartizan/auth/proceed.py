"""The state machine of an authorization: every page step ends here, and here alone a code is made (F§5)."""

from __future__ import annotations

from datetime import timedelta

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bartizan.auth import sso, trace
from bartizan.auth.ports import AuthPorts
from bartizan.auth.settings import AuthSettings
from bartizan.auth.sso import SignedIn
from bartizan.auth.steps import SILENT, Step, consent_matters, next_step
from bartizan.model.clients import Client, Consent
from bartizan.model.codes import Code, Interaction
from bartizan.model.sessions import Session
from bartizan.protocol import secrets
from bartizan.protocol.oauth import answers, authorize, scopes
from bartizan.protocol.oauth.authorize import AuthorizationRequest
from bartizan.protocol.refusal import Refused
from bartizan.protocol.web import cookies
from bartizan.web import caller

CODE_PREFIX = "bzc_"
IX_PREFIX = "bzi_"
CODE_SECONDS = 60
INTERACTION_SECONDS = 3600

Current = tuple[Interaction, AuthorizationRequest, Client]


class _Situation(Struct, frozen=True):
    """All that decides about the next step."""

    interaction: Interaction
    request: AuthorizationRequest
    client: Client
    session: Session | None
    consent: Consent | None


async def begin(
    request: Request, ports: AuthPorts, settings: AuthSettings, asked: AuthorizationRequest, client: Client
) -> Response:
    """A checked authorization request arrives. With a living session and a consent it is answered at once."""
    now = ports.clock()
    started = Interaction(
        id=secrets.uuid7(int(now.timestamp() * 1000), ports.chance(10)),
        request=authorize.pack(asked),
        client_id=client.id,
        created_at=now,
        expires_at=now + timedelta(seconds=INTERACTION_SECONDS),
    )
    here = await _look(request, ports, settings, (started, asked, client), None)
    step = _step(here, ports)
    if step is Step.CODE:
        return _to_client(await _grant(request, ports, settings, here, stored=False))
    if "none" in asked.prompt:
        return _to_client(_refusal(asked, SILENT[step], settings))
    secret = secrets.new_secret(IX_PREFIX, ports.chance(secrets.KEY_BYTES))
    async with ports.store.reading() as records:
        # failpoint: authorize.begin
        await records.interactions.add(secrets.fingerprint(secret), started)
        # failpoint: authorize.begun
    cookie = cookies.set_cookie(settings.cookies.ix, secret, max_age=INTERACTION_SECONDS, same_site="Lax")
    return _see_other(step.value, cookie)


async def current(request: Request, ports: AuthPorts, settings: AuthSettings) -> Current | None:
    """The authorization under way in this browser (`…-ix` cookie), for pages: "Sign in to Snapshots"."""
    secret = caller.cookies(request).get(settings.cookies.ix, "")
    if not secret.startswith(IX_PREFIX):
        return None
    async with ports.store.reading() as records:
        interaction = await records.interactions.by_fingerprint(secrets.fingerprint(secret))
        if interaction is None or interaction.done or interaction.expires_at <= ports.clock():
            return None
        client = await records.clients.by_id(interaction.client_id)
    if client is None or client.disabled:
        return None
    return interaction, authorize.unpack(interaction.request), client


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
    fresh = () if signed_in is None else (signed_in.set_cookie,)
    under_way = await current(request, ports, settings)
    if under_way is None:
        return _see_other(home, *fresh)
    here = await _look(request, ports, settings, under_way, signed_in)
    step = _step(here, ports)
    if step is not Step.CODE:
        return _see_other(step.value, *fresh)
    location = await _grant(request, ports, settings, here, stored=True)
    return _to_client(location, *fresh, _forget(settings))


async def deny(request: Request, ports: AuthPorts, settings: AuthSettings) -> Response:
    """The person said no (`consent-deny`, `cancel`): 303 to the client with `access_denied`; ends the interaction."""
    under_way = await current(request, ports, settings)
    if under_way is None:
        return _see_other("/account")
    interaction, asked, _ = under_way
    async with ports.store.transaction() as records:
        if not await records.interactions.finish(interaction.id):
            raise _over()
    return _to_client(_refusal(asked, "access_denied", settings), _forget(settings))


async def _look(
    request: Request, ports: AuthPorts, settings: AuthSettings, under_way: Current, signed_in: SignedIn | None
) -> _Situation:
    interaction, asked, client = under_way
    session = signed_in.session if signed_in is not None else None
    if session is None:
        known = await sso.current_session(request, ports, settings)
        session = known[0] if known is not None else None
    consent = None
    if session is not None and consent_matters(asked, client):
        async with ports.store.reading() as records:
            consent = await records.consents.of(session.user_id, client.id)
    return _Situation(interaction, asked, client, session, consent)


def _step(here: _Situation, ports: AuthPorts) -> Step:
    return next_step(here.interaction, here.request, here.client, here.session, here.consent, ports.clock())


async def _grant(request: Request, ports: AuthPorts, settings: AuthSettings, here: _Situation, *, stored: bool) -> str:
    """One code for one interaction, for a minute: the way back to the client."""
    session = here.session
    assert session is not None, "a code is made for somebody"
    secret = secrets.new_secret(CODE_PREFIX, ports.chance(secrets.KEY_BYTES))
    code = Code(
        client_id=here.client.id,
        user_id=session.user_id,
        session_id=session.id,
        redirect_uri=here.request.redirect.uri if here.request.redirect.sent else None,
        code_challenge=here.request.code_challenge,
        scopes=_granted(here),
        audience=here.request.audience,
        nonce=here.request.nonce,
        csrf=here.request.csrf,
        auth_time=session.auth_time,
        expires_at=ports.clock() + timedelta(seconds=CODE_SECONDS),
    )
    event = trace.of(request).event(
        "code.issued", user_id=session.user_id, client_id=here.client.id, session_id=session.id
    )
    ends = here.interaction.id if stored else None
    if not await ports.store.redemptions.issue(
        secrets.fingerprint(secret), code, event, by_consent=here.consent is not None, ends=ends
    ):
        raise _over()
    return answers.granted(here.request.redirect, code=secret, state=here.request.state, issuer=settings.issuer)


def _granted(here: _Situation) -> tuple[str, ...]:
    """What was asked ∩ what the person allowed; without a consent it was one that did not matter."""
    if here.consent is None:
        return here.request.scopes
    return scopes.common(here.request.scopes, here.consent.scopes)


def _over() -> Refused:
    return Refused("expired", "this sign-in was already finished, or took too long", "interaction is done", status=400)


def _refusal(asked: AuthorizationRequest, error: str, settings: AuthSettings) -> str:
    return answers.refused(asked.redirect, error=error, state=asked.state, issuer=settings.issuer)


def _forget(settings: AuthSettings) -> str:
    return cookies.delete_cookie(settings.cookies.ix, same_site="Lax")


def _to_client(location: str, *set_cookies: str) -> Response:
    """RFC 9700 §4.12: 303, so that no credential is posted onward. The location was built from a CheckedRedirect."""
    return _see_other(location, *set_cookies)


def _see_other(location: str, *set_cookies: str) -> Response:
    response = RedirectResponse(location, status_code=303, headers={"cache-control": "no-store"})
    for cookie in set_cookies:
        response.headers.append("set-cookie", cookie)
    return response
