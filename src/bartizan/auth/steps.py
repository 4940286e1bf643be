"""OIDC Core §3.1.2.3 as a table: what an authorization under way needs next."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from bartizan.model.clients import AuthMethod, Client, Consent
from bartizan.model.codes import Interaction
from bartizan.model.sessions import Session
from bartizan.protocol.oauth.authorize import AuthorizationRequest


class Step(StrEnum):
    """The next page's path, or CODE."""

    SIGN_UP = "/signup"
    SIGN_IN = "/signin"
    SELECT_ACCOUNT = "/select-account"
    CONSENT = "/consent"
    CODE = "code"


# OIDC Core §3.1.2.6: what `prompt=none` answers where a page would be needed.
SILENT: dict[Step, str] = {
    Step.SIGN_UP: "login_required",
    Step.SIGN_IN: "login_required",
    Step.SELECT_ACCOUNT: "account_selection_required",
    Step.CONSENT: "consent_required",
}


def next_step(
    interaction: Interaction,
    request: AuthorizationRequest,
    client: Client,
    session: Session | None,
    consent: Consent | None,
    now: datetime,
) -> Step:
    """Pure. A proof, a choice or a consent counts for this authorization when it was given after its start."""
    door = Step.SIGN_UP if "create" in request.prompt else Step.SIGN_IN
    if session is None:
        return door
    proven_here = session.auth_time >= interaction.created_at
    if not proven_here and _wants_fresh_proof(request, session, now):
        return door
    chosen = proven_here or interaction.user_id == session.user_id
    if "select_account" in request.prompt and not chosen:
        return Step.SELECT_ACCOUNT
    if not _consented(interaction, request, client, consent):
        return Step.CONSENT
    return Step.CODE


def _wants_fresh_proof(request: AuthorizationRequest, session: Session, now: datetime) -> bool:
    too_old = request.max_age is not None and (now - session.auth_time).total_seconds() > request.max_age
    return too_old or "login" in request.prompt or "create" in request.prompt


def consent_matters(request: AuthorizationRequest, client: Client) -> bool:
    """First parties were allowed by who installed them, unless the request or the client's kind asks for more."""
    return not client.first_party or "consent" in request.prompt or _can_be_impersonated(request, client)


def _consented(
    interaction: Interaction, request: AuthorizationRequest, client: Client, consent: Consent | None
) -> bool:
    if not consent_matters(request, client):
        return True
    if consent is None:
        return False
    if consent.granted_at >= interaction.created_at:
        return True
    ask_again = "consent" in request.prompt or _can_be_impersonated(request, client)
    return not ask_again and set(request.scopes) <= set(consent.scopes)


def _can_be_impersonated(request: AuthorizationRequest, client: Client) -> bool:
    """RFC 8252 §8.6: another app of the same device can ask in this one's name, so a person must look each time."""
    return client.auth_method is AuthMethod.NONE and not request.redirect.uri.startswith("https://")
