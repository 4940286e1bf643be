"""`bartizan explain KEY`, and docs/reference/config.md: every key of the file in one table, with type and default.

The structs say which keys there are; this says what they mean. A test holds the two together.
"""

from __future__ import annotations

import difflib
import sys
from typing import Any, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Struct

from bartizan.stack.home import Trouble
from bartizan.stack.schema import Config, Duration, Reference, Size, words_of

MEANING = {
    "site.name": "What pages and mails call the site.",
    "site.app": "Origin of your app: pages and API. Absent: app.localhost at the gateway's port.",
    "site.id": "Origin of sign-in, accounts and console; also the issuer of tokens. Never the app's own.",
    "site.files": "Origin of what people upload. It has no cookies, so an uploaded page can reach nothing.",
    "site.trusted_proxies": "Addresses or networks whose X-Forwarded-For is believed. Empty: nobody's.",
    "auth.access_token_lifetime": "How long an access token lives, 1m to 1h. The app's own live a little shorter.",
    "auth.refresh_idle": "Unused for so long, a grant ends.",
    "auth.refresh_absolute": "A grant ends at this age, used or not.",
    "auth.session_idle": "Unused for so long, a sign-in ends.",
    "auth.session_absolute": "A sign-in ends at this age.",
    "auth.signing_algorithm": "What new signing keys are made for.",
    "auth.key_rotation": "A signing key is replaced at this age. The next is published before it signs.",
    "auth.open_sign_up": "May anybody make an account?",
    "auth.workers": "Processes for auth, frontend and files, 1 to 64: one for each core that they may use up.",
    "auth.scopes": "Your API's scopes by name, each with what the consent page says.",
    "auth.scopes.*.can": "What it lets an app do: \"See your photos\".",
    "auth.scopes.*.cannot": "Said when an app does not ask for it: \"change or delete photos\".",
    "auth.client": "Apps that may ask for access. Those of the file are read-only in the console.",
    "auth.client[].id": "Its name in requests.",
    "auth.client[].kind": "browser: your own pages · server: keeps a secret · native: on a device · agent: for itself.",
    "auth.client[].name": "What people see.",
    "auth.client[].auth_method": "How it proves itself. Absent: what its kind does best.",
    "auth.client[].secret": "Where its secret lies. A browser client needs none: it is derived.",
    "auth.client[].mode": "browser only. cookie: no script holds a token · memory: the access token is in a variable.",
    "auth.client[].redirect_uris": "Where codes may be sent, exactly.",
    "auth.client[].post_logout_redirect_uris": "Where a browser may go after signing out.",
    "auth.client[].redirect_onward": "Origins that its callback goes on to, so that Chromium lets the form through.",
    "auth.client[].origins": "Browser origins that may call with a bearer token (CORS).",
    "auth.client[].grants": "Grants it may use. Absent: those of its kind.",
    "auth.client[].scopes": "What it may ask for. Absent, kind browser: everything.",
    "auth.client[].audience": "The APIs that it may name. Absent: the app's origin.",
    "auth.client[].first_party": "No consent page: it is you. Always so for kind browser.",
    "auth.client[].homepage": "Shown on the consent page.",
    "auth.client[].operator": "Who runs it; shown on the consent page.",
    "auth.client[].checked": "Somebody here has looked at it. Otherwise the consent page warns.",
    "gateway.address": "Where the gateway listens. Loopback, until you say otherwise.",
    "gateway.port": "Its port. When nobody names one, `up` takes the next free from here.",
    "gateway.tls.mode": "off: localhost, or a proxy before it · local: an authority of this copy's own · files: yours.",
    "gateway.tls.certificate": "mode files: PEM, the chain.",
    "gateway.tls.key": "mode files: PEM.",
    "route": "What lies behind the app's origin. The longest path wins.",
    "route[].path": "Ends with a slash: a prefix. Otherwise exactly this path.",
    "route[].to": "The server behind it: http://127.0.0.1:5000 or unix:/run/app.sock.",
    "route[].spa": "Instead of `to`: a directory, or a development server. Public, unless it says otherwise.",
    "route[].require": "The scopes that a call needs. Absent: being signed in is enough.",
    "route[].public": "No check at all; our cookies and headers are taken out.",
    "route[].optional": "A good token is passed on; none is needed.",
    "route[].csrf": "token: X-CSRF-Token · form: or the guard's hidden field · origin: the origin test alone.",
    "route[].guard": "Names the second wall inside the app: flask, fastapi or asgi.",
    "route[].limit": "\"100/minute per user\", \"30/minute per address\".",
    "route[].timeout": "Longest answer. Streams live one access lifetime.",
    "route[].body_limit": "Largest request.",
    "route[].stream": "Pass the body on as it comes.",
    "route[].websocket": "Let WebSockets through. Their Origin must be the app's.",
    "route[].cors": "Exact origins that may call from a browser; \"clients\" stands for those of all clients.",
    "route[].csp": "Sources added to the pages' policy, by directive: { style-src = [\"https://fonts.example\"] }.",
    "host": "Other origins behind the same listener, passed on as they are.",
    "host[].host": "The origin: https://shop.example.com.",
    "host[].to": "The server behind it.",
    "database.url": "PostgreSQL 16 or newer. Absent: embedded. With a password: by reference only.",
    "cache.url": "Valkey or Redis. Absent: embedded.",
    "cache.memory": "The embedded cache's bound. Full, it refuses; it never forgets.",
    "files.enabled": "Offer uploads to the app at /files.",
    "files.store": "A directory. Absent: in the data directory.",
    "files.read": "The scope for listing and reading.",
    "files.write": "The scope for uploading and deleting.",
    "files.quota": "Bytes of one person.",
    "files.max_size": "Bytes of one file.",
    "worker.concurrency": "Jobs at once.",
    "worker.mail.host": "Your mail server. Absent, on localhost: the dev inbox catches all mail.",
    "worker.mail.port": "Its port.",
    "worker.mail.security": "tls: from the first byte · starttls: demanded, not tried · none: a relay on this machine.",
    "worker.mail.user": "Who we are to it.",
    "worker.mail.password": "Where the password lies.",
    "worker.mail.sender": "\"Example <no-reply@example.com>\".",
    "worker.mail.connections": "Connections at once.",
    "monitoring.address": "Where Prometheus finds /metrics. Keep it private.",
    "monitoring.port": "Its port.",
    "privacy.retention": "Events, hashed addresses and logs are deleted at this age.",
    "keys.ring": "Where the root keys lie. Absent: a file in the data directory.",
}  # fmt: skip


def explained(wanted: str = "") -> list[dict[str, str]]:
    """The rows of one key and all below it; of everything without one."""
    rows = [row for row in _rows(Config, "") if not wanted or _below(row["key"], wanted)]
    if not rows:
        near = difflib.get_close_matches(wanted, MEANING, 1, 0.5)
        hint = f" Did you mean {near[0]}?" if near else " See all with: bartizan explain"
        raise Trouble(f"There is no key {wanted}.{hint}")
    return rows


def markdown() -> str:
    """docs/reference/config.md."""
    lines = [
        "# `bartizan.toml`, key by key",
        "",
        "Written by `python -m bartizan.stack.explain > docs/reference/config.md` from the structs that read the file.",
        "Every key may be left out unless it says *required*. An unknown key fails. Times are written `90s`, `5m`,",
        '`14d`; sizes `512KB`, `10MB`. A secret is never written into the file: say `{ file = "…" }` or',
        '`{ env = "…" }`. `bartizan check` tells every fault at once, with its line.',
        "",
        "| Key | Type | Default | Meaning |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{row['key']}` | {row['type']} | {row['default']} | {row['meaning'].replace('|', '&#124;')} |"
        for row in explained()
    ]
    return "\n".join(lines) + "\n"


def _below(key: str, wanted: str) -> bool:
    plain = key.replace("[]", "").replace(".*", "")
    return key == wanted or plain == wanted or plain.startswith(wanted + ".")


def _rows(kind: Any, prefix: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for entry in msgspec.structs.fields(kind):
        key = f"{prefix}{entry.name}"
        inner, mark = _inner(entry.type)
        if inner is None or mark:
            found.append(
                {"key": key, "type": _type(entry.type), "default": _default(entry), "meaning": MEANING.get(key, "")}
            )
        if inner is not None:
            found += _rows(inner, f"{key}{mark}.")
    return found


def _inner(kind: Any) -> tuple[Any, str]:
    """The struct inside a type, and how a key shows that there are many."""
    if isinstance(kind, type) and issubclass(kind, Struct) and kind is not Reference:
        return kind, ""
    for origin, at, mark in ((tuple, 0, "[]"), (dict, 1, ".*")):
        if get_origin(kind) is origin:
            part = get_args(kind)[at]
            if isinstance(part, type) and issubclass(part, Struct):
                return part, mark
    return None, ""


def _type(kind: Any) -> str:
    if words := words_of(kind):
        return " or ".join(f"`{word}`" for word in words)
    if get_origin(kind) is tuple:
        inner, _ = _inner(kind)
        return "tables" if inner else "list of text"
    if get_origin(kind) is dict:
        return "table"
    names = {str: "text", int: "number", bool: "true or false", Duration: "time", Size: "size"}
    if Reference in (kind, *get_args(kind)):
        return "text or reference" if str in get_args(kind) else "reference"
    return names.get(kind, "text")


def _default(entry: Any) -> str:
    if entry.required:
        return "*required*"
    value = entry.default if entry.default is not NODEFAULT else entry.default_factory()
    if value in (None, "", (), {}):
        return "–"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, Duration):
        return f"`{_time(value)}`"
    return f"`{_size(value)}`" if isinstance(value, Size) else f"`{value}`"


def _time(seconds: int) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _size(number: int) -> str:
    for unit, size in (("GB", 1024**3), ("MB", 1024**2), ("KB", 1024)):
        if number % size == 0:
            return f"{number // size}{unit}"
    return f"{number}B"


if __name__ == "__main__":
    sys.stdout.write(markdown())
