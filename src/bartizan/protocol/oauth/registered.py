"""OAuth 2.1 §2: what the rules must know of a registered client. `model.clients.Client` fits it."""

from __future__ import annotations

from typing import Protocol


class Registered(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def kind(self) -> str: ...  # browser | server | native | agent

    @property
    def redirect_uris(self) -> tuple[str, ...]: ...

    @property
    def grants(self) -> tuple[str, ...]: ...

    @property
    def scopes(self) -> tuple[str, ...]: ...

    @property
    def audience(self) -> tuple[str, ...]: ...

    @property
    def mode(self) -> str: ...  # cookie | memory: where its BFF puts the access token
