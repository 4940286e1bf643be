"""Mails: HTML and text from one set of values. One button, the link also as text, never a question for a secret."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from uuid import UUID

import css_inline
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from msgspec import Struct

from bartizan.auth.settings import AuthSettings
from bartizan.model.mail import Mail

FOLDER = Path(__file__).parent / "templates" / "mail"


class Kind(Struct, frozen=True):
    """A row per mail; its templates are `<name>.html` and `<name>.txt`."""

    name: str
    subject: str
    alarm: bool = False  # a red line at the top: something was stopped


KINDS = {
    kind.name: kind
    for kind in (
        Kind("verify", "Confirm your address"),
        Kind("already", "You already have an account"),
        Kind("reset", "Set a new password"),
        Kind("email", "Confirm your new address"),
        Kind("email_changed", "Your e-mail address was changed"),
        Kind("password_changed", "Your password was changed"),
        Kind("theft", "We ended a session that somebody copied", alarm=True),
    )
}


def write(name: str, settings: AuthSettings, /, *, mail_id: UUID, to: str, **values: object) -> Mail:
    """`values`: what the mail's two templates name. `mail_id` is the job's: the same through every retry."""
    kind = KINDS[name]
    host = settings.issuer.split("://", 1)[1]
    shared = {"subject": kind.subject, "site": settings.site_name, "host": host, "origin": settings.issuer, "to": to}
    plain = {key: _one_line(value) for key, value in {**shared, **values}.items()}
    text = _environment().get_template(f"{name}.txt").render(plain).strip()
    html = _environment().get_template(f"{name}.html").render(plain, alarm=kind.alarm)
    return Mail(
        id=str(mail_id),
        to=to,
        subject=kind.subject,
        text=f"{kind.subject}\n\n{text}\n\n-- \n{settings.site_name} ID, {host}\n",
        html=_inlined(html),
    )


def _one_line(value: object) -> object:
    """A name with a line end in it must not write lines of its own into the text part."""
    return " ".join(value.split()) if isinstance(value, str) else value


def _article(word: str) -> str:
    return f"{'an' if word[:1].lower() in 'aeiou' else 'a'} {word}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=select_autoescape(("html",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["article"] = _article
    return environment


@cache
def _css() -> str:
    return (FOLDER / "mail.css").read_text("utf-8")


def _inlined(html: str) -> str:
    """Mail programs read style attributes only; the dark theme's media query stays in a style element."""
    inliner = css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)
    styled = html.replace("</head>", f"<style>{_css()}</style>\n</head>", 1)
    return str(inliner.inline(styled))
