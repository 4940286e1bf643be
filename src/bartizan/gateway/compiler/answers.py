"""The words of every answer that the gateway itself gives: a table, as JSON (RFC 6749 §5.2) or as a small page.

The ended and the unseen (flows §7) come from one RBAC filter as 403; here they become renewal, 401 and 503.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from html import escape

from msgspec import Struct

from bartizan.gateway.compiler import envoy_types as t
from bartizan.gateway.compiler.envoy_types import Json
from bartizan.gateway.compiler.filters import SEEN
from bartizan.gateway.settings import GatewaySettings, Mode

RETRY_AFTER = 2  # seconds: a server that died is back by then


class Answer(Struct, frozen=True, kw_only=True):
    status: int
    code: str
    title: str
    tell: str  # may hold Envoy's command operators; a literal % is doubled
    seen_as: int = 0  # the status that the filter gave, where it is another
    because: str = ""  # the policy that refused, in RBAC's own details
    marked: str = ""  # what the gate wrote into its header
    headers: tuple[tuple[str, str], ...] = ()


_LATER = (("retry-after", str(RETRY_AFTER)),)
_INVALID = (("www-authenticate", 'Bearer error="invalid_token"'),)
_SCOPE = (("www-authenticate", 'Bearer error="insufficient_scope", scope="%METADATA(ROUTE:bartizan:scope)%"'),)
_IN_ITS_WORDS = "%LOCAL_REPLY_BODY%"  # those of the Lua script that refused
_BY_ITSELF = "This page cannot be opened by its address"  # memory mode; whether somebody is signed in, we do not know
_BEHIND = (502, 503, 504)


_BY_RBAC = (
    Answer(
        status=503,
        code="temporarily_unavailable",
        title="One moment",
        tell="Who is signed in cannot be checked right now. Try again in a few seconds.",
        seen_as=403,
        because="unseen",
        headers=_LATER,
    ),
    Answer(
        status=401,
        code="invalid_token",
        title="Signed out",
        tell="This sign-in has ended.",
        seen_as=403,
        because="ended",
        headers=_INVALID,
    ),
    Answer(
        status=403,
        code="insufficient_scope",
        title="Not allowed",
        tell="This access does not cover that.",
        seen_as=403,
        because="none",
        headers=_SCOPE,
    ),
)
_SHORT = "temporarily_unavailable"
_AWAY = "The server behind this address does not answer right now. Try again in a few seconds."
_PLAIN = (
    (400, "invalid_request", "Not understood", "The request is not well formed, or carries something twice."),
    (403, "csrf", "Not allowed", _IN_ITS_WORDS),
    (404, "not_found", "Nothing here", "There is no page at this address."),
    (405, "method_not_allowed", "Not possible", "This address does not answer to that method."),
    (408, "timeout", "Too slow", "The request took too long to arrive."),
    (413, "too_large", "Too large", "That is more than this address takes."),
    (426, "upgrade_required", "Too old a protocol", "HTTP/1.1 or later is needed here."),
    (429, "slow_down", "Too many requests", "Wait a little, then try again."),
    (431, "too_large", "Too large", "The request's headers are too large."),
    (500, "server_error", "Something broke", "Something broke on our side. The request went no further."),
)


def table(settings: GatewaySettings) -> tuple[Answer, ...]:
    """First match wins."""
    names = f"{settings.app_origin}, {settings.id_origin} and {settings.files_origin}"
    elsewhere = f"You asked for %REQ(:AUTHORITY)%. This gateway answers to {names}."
    away = (Answer(status=status, code=_SHORT, title="One moment", tell=_AWAY, headers=_LATER) for status in _BEHIND)
    return (
        *_BY_RBAC,
        Answer(status=401, code="invalid_token", title="Sign in again", tell=_IN_ITS_WORDS, marked="invalid"),
        Answer(status=401, code="memory_mode", title=_BY_ITSELF, tell=_IN_ITS_WORDS, marked="inside"),
        Answer(status=401, code="unauthorized", title="Sign in first", tell=_IN_ITS_WORDS),
        *(Answer(status=status, code=code, title=title, tell=tell) for status, code, title, tell in _PLAIN),
        Answer(status=421, code="wrong_host", title="Another name is expected", tell=elsewhere),
        *away,
    )


def local_reply(settings: GatewaySettings) -> Json:
    mappers = [*_renewals(settings)]
    for answer in table(settings):
        mappers += [_as_page(settings, answer), _as_json(settings, answer)]
    return {"mappers": mappers}


def _renewals(settings: GatewaySettings) -> Iterator[Json]:
    """Flows §4 for a token that is well signed but ended; the gate does the same for one that is not valid."""
    if settings.mode is Mode.MEMORY:
        return
    by_cookie = _header(SEEN, {"contains": "k"})
    navigation = (_header(":method", {"exact": "GET"}), _header("sec-fetch-mode", {"exact": "navigate"}))
    own_script = (_header("sec-fetch-site", {"exact": "same-origin"}), _header(SEEN, {"contains": "r"}))
    for status, conditions in ((303, navigation), (307, own_script)):
        location = {"header": {"key": "location", "value": "/bff/renew?return_to=%REQ(:PATH)%"}}
        yield {
            "filter": _when(403, "ended", by_cookie, *conditions),
            "status_code": status,
            "body": {"inline_string": ""},
            "headers_to_add": [location, *_headers(settings, ())],
        }


def _as_json(settings: GatewaySettings, answer: Answer) -> Json:
    body = {"json_format": {"error": answer.code, "error_description": answer.tell}}
    return _mapper(settings, answer, body)


def _as_page(settings: GatewaySettings, answer: Answer) -> Json:
    body = {
        "text_format_source": {"inline_string": page(answer, settings.app_origin)},
        "content_type": "text/html; charset=utf-8",
    }
    return _mapper(settings, answer, body, _header("accept", {"contains": "text/html"}))


def _mapper(settings: GatewaySettings, answer: Answer, body: Json, *conditions: Json) -> Json:
    marked = [_header(SEEN, {"exact": answer.marked})] if answer.marked else []
    return {
        "filter": _when(answer.seen_as or answer.status, answer.because, *marked, *conditions),
        "status_code": answer.status,
        "body_format_override": body,
        "headers_to_add": _headers(settings, answer.headers),
    }


def _headers(settings: GatewaySettings, more: tuple[tuple[str, str], ...]) -> list[Json]:
    policy = (
        f"default-src 'none'; style-src '{_style_hash()}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    always = [
        ("content-security-policy", policy),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("cache-control", "no-store"),
    ]
    if settings.app_origin.startswith("https:"):
        always.append(("strict-transport-security", "max-age=31536000"))
    return [
        {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        for key, value in (*always, *more)
    ]


def _when(status: int, because: str, *more: Json) -> Json:
    code: Json = {
        "status_code_filter": {"comparison": {"op": "EQ", "value": {"default_value": status, "runtime_key": "none"}}}
    }
    conditions = [code, *more]
    if because:
        expression = f"response.code_details.contains('[{because}]')"
        conditions.append({"extension_filter": t.named("details", t.typed(t.CEL_FILTER, expression=expression))})
    return {"and_filter": {"filters": conditions}} if len(conditions) > 1 else code


def _header(name: str, match: Json) -> Json:
    return {"header_filter": {"header": {"name": name, "string_match": match}}}


# The look's sheet (stone and verdigris), no more than a page without any other file can carry.
_STYLE = (
    ":root{color-scheme:light dark;--ground:#eef1ef;--surface:#fdfefd;--line:#d8dfdb;--ink:#14201d;--ink-2:#43514c;"
    "--ink-3:#586660;--brand:#0c5f56;--on-brand:#fff}"
    "@media(prefers-color-scheme:dark){:root{--ground:#0d1312;--surface:#151c1b;--line:#2a3533;--ink:#e8eeeb;"
    "--ink-2:#b9c5c0;--ink-3:#98a6a0;--brand:#74cdbb;--on-brand:#05211c}}"
    "*{box-sizing:border-box}"
    "body{background:var(--ground);color:var(--ink);display:grid;font:16px/1.5 ui-sans-serif,system-ui,sans-serif;"
    "margin:0;min-height:100vh;padding:24px 16px;place-items:center}"
    "main{background:var(--surface);border:1px solid var(--line);border-radius:12px;padding:32px;"
    "width:min(464px,100vw - 32px)}"  # no percent sign: Envoy reads it as a command
    "svg{color:var(--brand);display:block;height:32px;margin-block-end:20px;width:32px}"
    "h1{font-size:29px;font-weight:650;letter-spacing:-.01em;line-height:1.2;margin:0 0 8px;text-wrap:balance}"
    "p{color:var(--ink-2);margin:0;overflow-wrap:anywhere}"
    "a{background:var(--brand);border:1px solid transparent;border-radius:7px;color:var(--on-brand);display:block;"
    "font-weight:600;line-height:1.25;margin-block:24px;padding:11px 18px;text-align:center;text-decoration:none}"
    "a:focus-visible{outline:3px solid var(--brand);outline-offset:2px}"
    "dl{border-block-start:1px solid var(--line);display:grid;font-size:15px;gap:4px 16px;"
    "grid-template-columns:auto 1fr;margin:0;padding-block-start:16px}dt{color:var(--ink-3)}"
    "dd{align-self:center;font:13px ui-monospace,monospace;margin:0;overflow-wrap:anywhere}"
)
_MARK = (
    '<svg viewBox="0 0 32 32" aria-hidden="true" focusable="false"><path fill="currentColor" fill-rule="evenodd" '
    'd="M16 0 26 10H6L16 0ZM8.2 11.4h15.6v8.8h-2.8v3.6h-2.6v3.6h-4.8v-3.6H11v-3.6H8.2v-8.8Zm6.5 1.9v5h2.6v-5h-2.6Z"/>'
    '<path fill="currentColor" opacity=".72" d="M1 19.6l5.8-1.3v3.3h2.8v3.6h2.6v3.6h3.1V32H1z"/>'
    '<path fill="currentColor" opacity=".42" d="M31 19.6l-5.8-1.3v3.3h-2.8v3.6h-2.6v3.6h-3.1V32H31z"/></svg>'
)


def _style_hash() -> str:
    return "sha256-" + b64encode(sha256(_STYLE.encode()).digest()).decode()


def _onward(answer: Answer, app_origin: str) -> tuple[str, str, str]:
    """The one button: its id, where it leads, its words."""
    if answer.status in _BEHIND:
        return "again", "", "Try again"
    if answer.status == 401 and answer.title != _BY_ITSELF:
        return "sign-in", f"{app_origin}/bff/login?return_to=/", "Sign in"
    return "cancel", f"{app_origin}/", "Go to the app"


def page(answer: Answer, app_origin: str) -> str:
    """Works as sent: what happened, one way on, and the request id that the logs have."""
    name, href, label = _onward(answer, app_origin)
    return (
        '<!doctype html><html lang="en" dir="ltr"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(answer.title)}</title><style>{_STYLE}</style></head>"
        f"<body><main>{_MARK}<h1>{escape(answer.title)}</h1><p>{escape(answer.tell)}</p>"
        f'<a id="{name}" href="{escape(href)}">{label}</a>'
        f'<dl><dt>Code</dt><dd id="error-code">{answer.code}</dd>'
        '<dt>Request</dt><dd id="request-id">%REQ(X-REQUEST-ID)%</dd></dl></main></body></html>'
    )
