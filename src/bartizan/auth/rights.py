"""Scopes in the person's own terms: for the consent page and for the account page."""

from __future__ import annotations

from msgspec import Struct

from bartizan.auth.settings import AuthSettings
from bartizan.model.users import User
from bartizan.protocol.oauth.scopes import EMAIL, OFFLINE, OPENID, PROFILE

# For the console, which speaks of people in general.
OIDC_TEXT = {
    OPENID: "know that it is the same person each time",
    PROFILE: "know the name",
    EMAIL: "know the e-mail address",
    OFFLINE: "go on while the person is away",
}


class Right(Struct, frozen=True):
    icon: str
    can: str
    detail: str = ""


class Rights(Struct, frozen=True):
    can: tuple[Right, ...]
    cannot: str


def rights(scopes: tuple[str, ...], user: User, settings: AuthSettings) -> Rights:
    """Scopes in the person's terms. A scope that nobody described is shown by its name: never silently granted."""
    can = [
        Right("picture", settings.scopes[name].can if name in settings.scopes else f"Use “{name}”")
        for name in scopes
        if name not in (OPENID, PROFILE, EMAIL, OFFLINE)
    ]
    if PROFILE in scopes or EMAIL in scopes:
        told = [word for word, scope in (("name", PROFILE), ("e-mail", EMAIL)) if scope in scopes]
        values = [value for value, scope in ((user.name, PROFILE), (user.email, EMAIL)) if scope in scopes]
        can.append(Right("person", f"Know your {' and '.join(told)}", ", ".join(values) + "."))
    elif OPENID in scopes:
        can.append(Right("person", "Know that you are the same person each time", "Neither your name nor your e-mail."))
    if OFFLINE in scopes:
        can.append(Right("clock", "Do this while you are away", "Also after you sign out, until its time is over."))
    cannot = [text.cannot for name, text in settings.scopes.items() if name not in scopes and text.cannot]
    return Rights(tuple(can), _sentence([*cannot, "see your password"]))


def sees(scopes: tuple[str, ...], user: User, settings: AuthSettings) -> str:
    """One line for a list: See your photos; know your name and e-mail."""
    words = [right.can[:1].lower() + right.can[1:] for right in rights(scopes, user, settings).can]
    text = "; ".join(words) or "nothing"
    return f"Can {text}."


def _sentence(parts: list[str]) -> str:
    """see other albums, change anything, or see your password → a sentence."""
    text = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])}, or {parts[-1]}"
    return text[:1].upper() + text[1:] + "."
