"""RFC 7009 §2.1, RFC 7662 §2.1: the token that a client hands in for revocation or introspection."""

from __future__ import annotations

from msgspec import Struct

from bartizan.protocol.oauth.parameters import Parameters
from bartizan.protocol.oauth.token import LONGEST_TOKEN


class PresentedToken(Struct, frozen=True):
    """`token_type_hint` is not kept: a token shows by its shape what it is, and a wrong hint must change nothing."""

    token: str


def presented_token(parameters: Parameters) -> PresentedToken:
    parameters.get("token_type_hint", longest=64)  # unknown hints are ignored, malformed ones refused
    return PresentedToken(parameters.require("token", longest=LONGEST_TOKEN))
