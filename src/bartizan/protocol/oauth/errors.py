"""The standard errors, as a table (OAuth 2.1 §4.1.2.1, §3.2.4; RFC 6750 §3.1, 8628 §3.5, 8707 §2; OIDC Core §3.1.2.6).

One code has one sentence for the outside, whatever the cause; the cause is the note and stays in the log.
"""

from __future__ import annotations

from msgspec import Struct

from bartizan.protocol.refusal import Refused


class ErrorRow(Struct, frozen=True):
    code: str
    status: int  # at an endpoint that answers JSON
    tell: str


ERRORS: dict[str, ErrorRow] = {
    row.code: row
    for row in (
        ErrorRow("invalid_request", 400, "a parameter is missing, repeated, too long or not well formed"),
        ErrorRow("invalid_client", 401, "the client could not be authenticated"),
        ErrorRow("invalid_grant", 400, "the code or token is not valid, or not for this client"),
        ErrorRow("unauthorized_client", 400, "this client may not use this grant"),
        ErrorRow("unsupported_grant_type", 400, "this grant type is not offered"),
        ErrorRow("unsupported_response_type", 400, "only response_type=code is offered"),
        ErrorRow("unsupported_token_type", 400, "this kind of token cannot be revoked"),
        ErrorRow("invalid_scope", 400, "a scope is unknown, or not open to this client"),
        ErrorRow("invalid_target", 400, "the resource is unknown, or not open to this client"),
        ErrorRow("access_denied", 403, "the request was declined"),
        ErrorRow("server_error", 500, "something went wrong on our side"),
        ErrorRow("temporarily_unavailable", 503, "not available at this moment; try again"),
        ErrorRow("login_required", 400, "the person must sign in"),
        ErrorRow("interaction_required", 400, "the person must be asked something"),
        ErrorRow("account_selection_required", 400, "the person must choose an account"),
        ErrorRow("consent_required", 400, "the person must allow it first"),
        ErrorRow("request_not_supported", 400, "request objects are not accepted"),
        ErrorRow("request_uri_not_supported", 400, "only a request_uri from our own endpoint is accepted"),
        ErrorRow("registration_not_supported", 400, "the registration parameter is not accepted"),
        ErrorRow("invalid_token", 401, "the access token is not valid"),
        ErrorRow("insufficient_scope", 403, "the access token does not reach this far"),
        ErrorRow("slow_down", 429, "too many of these for now; try again later"),
    )
}


def no(code: str, note: str, *, headers: tuple[tuple[str, str], ...] = ()) -> Refused:
    """A refusal from the table; `note` says the cause, to the log alone."""
    row = ERRORS[code]
    return Refused(code, row.tell, note, status=row.status, headers=headers)
