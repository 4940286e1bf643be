"""One table from what went wrong to what is said (design §8): `tell` goes out, `note` stays in the log."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct, json
from starlette.requests import Request
from starlette.responses import Response

from bartizan.model.route import Route, Who
from bartizan.protocol.refusal import Refused, Replayed, Unavailable
from bartizan.web import caller


class Failure(Struct, frozen=True, kw_only=True):
    """What the caller is told. Headers are lower case."""

    status: int
    code: str
    tell: str
    headers: dict[str, str] = {}
    request_id: str = ""


FailurePage = Callable[[Request, Failure], Response]

NOT_FOUND = Failure(status=404, code="not_found", tell="There is no page at this address.")
TOO_LARGE = Failure(status=413, code="too_large", tell="That is more than this address takes.")
DEFECT = Failure(status=500, code="server_error", tell="Something broke on our side. Nothing was changed by halves.")


def wrong_method(allowed: tuple[str, ...]) -> Failure:
    return Failure(
        status=405,
        code="method_not_allowed",
        tell="This address does not answer to that method.",
        headers={"allow": ", ".join(allowed)},
    )


def failure_of(error: Exception) -> Failure:
    """Anything that is not one of the three refusals is a defect: no text of it goes out."""
    if isinstance(error, Refused):
        headers = {name.lower(): value for name, value in dict(error.headers).items()}
        return Failure(status=error.status, code=error.code, tell=error.tell, headers=headers)
    if isinstance(error, Replayed):
        # Its family is ended and that is committed; what is left to say is that this grant is worth nothing.
        return Failure(status=400, code="invalid_grant", tell="The grant is not valid.")
    if isinstance(error, Unavailable):
        return Failure(
            status=503,
            code="temporarily_unavailable",
            tell="A part of this service is away for a moment. Try again in a few seconds.",
            headers={"retry-after": str(error.retry_after)},
        )
    return DEFECT


def as_json(failure: Failure, route: Route | None = None) -> Response:
    """RFC 6749 §5.2; a 401 names its scheme (RFC 9110 §11.6.1, RFC 6750 §3)."""
    headers = {"cache-control": "no-store", **failure.headers}
    if failure.status == 401 and route is not None and route.who is Who.CLIENT:
        headers.setdefault("www-authenticate", 'Basic realm="bartizan", charset="UTF-8"')
    elif failure.status in (401, 403) and route is not None and route.who is Who.TOKEN:
        headers.setdefault("www-authenticate", f'Bearer error="{failure.code}"')
    body = json.encode({"error": failure.code, "error_description": failure.tell})
    return Response(body, failure.status, headers, media_type="application/json")


def speaks_json(request: Request, route: Route | None) -> bool:
    """Protocol endpoints always answer JSON; a page's form always a page; for the rest the Accept header says."""
    if route is not None:
        if route.form:
            return False
        if route.who in (Who.CLIENT, Who.TOKEN) or route.cors:
            return True
    return not caller.wants_page(request)


def plain_page(request: Request, failure: Failure) -> Response:
    """The page of servers that have no look of their own. `Pages.failure` is the dressed one."""
    body = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>'
        f"{failure.status}</title><h1>{failure.tell}</h1>"
        f"<p>Code <code id=error-code>{failure.code}</code>, request <code id=request-id>{failure.request_id}</code>"
    )
    headers = {
        "cache-control": "no-store",
        "content-security-policy": "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
        **failure.headers,
    }
    return Response(body, failure.status, headers, media_type="text/html")
