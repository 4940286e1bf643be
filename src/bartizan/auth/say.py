"""What a page says after a submit, and the checks of fields that several rooms ask for."""

from __future__ import annotations

import re

from msgspec import Struct

from bartizan.auth.proceed import Current
from bartizan.model.clients import Client
from bartizan.protocol.refusal import Refused
from bartizan.protocol.web.origins import return_to

LONGEST_EMAIL = 254  # RFC 5321 §4.5.3.1.3
LONGEST_NAME = 80
_EMAIL = re.compile(r"[^\s@<>()\[\]\\,;:\"]+@[^\s@<>()\[\]\\,;:\"]+\.?[^\s@<>()\[\]\\,;:\".]+\Z")
_OURS = ("/account", "/admin")


class Fault(Struct, frozen=True):
    """First what happened, then what to do. `field`: the id of the input to mend."""

    what: str
    cure: str = ""
    field: str = ""


def email_fault(email: str) -> Fault | None:
    if not email or len(email) > LONGEST_EMAIL or not email.isprintable() or not _EMAIL.match(email):
        return Fault("That is no e-mail address.", "It looks like name@example.com.", "email")
    return None


def name_fault(name: str) -> Fault | None:
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        return Fault(f"Write a name of 1 to {LONGEST_NAME} characters.", "Any name that people know you by.", "name")
    return None


def next_path(raw: str) -> str:
    """Where to go on after a sign-in that no app asked for: a page of ours, or the account."""
    try:
        path = return_to(raw) if raw else "/account"
    except Refused:
        return "/account"
    page = path.partition("?")[0]
    return path if any(page == ours or page.startswith(ours + "/") for ours in _OURS) else "/account"


def where_forms_lead(current: Current | None) -> tuple[str, ...]:
    """Flows §5: in an authorization the CSP names where the redirect after the POST leads, and where that goes on."""
    if current is None:
        return ()
    _, asked, client = current
    return (place(asked.redirect.uri), *client.redirect_onward)


def place(uri: str) -> str:
    """The origin of a validated URI as a CSP source, or its scheme where it has no host."""
    scheme, _, rest = uri.partition(":")
    if scheme in ("http", "https"):
        return f"{scheme}://{rest.removeprefix('//').partition('/')[0].partition('?')[0]}"
    return f"{scheme}:"


def host(client: Client) -> str:
    """The one thing about an app that we know and it cannot choose freely: where its answers go."""
    for uri in (client.homepage, *client.redirect_uris):
        if uri:
            return place(uri).removeprefix("https://").removeprefix("http://")
    return client.id
