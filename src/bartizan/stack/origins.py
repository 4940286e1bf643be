"""Design §4: the three origins of a configuration. Unnamed, they are `*.localhost`, which browsers trust over http."""

from __future__ import annotations

from msgspec import Struct

from bartizan.stack.schema import Config


class Origins(Struct, frozen=True):
    app: str
    id: str
    files: str

    def url(self, name: str) -> str:
        return str(getattr(self, name))


def origins(config: Config) -> Origins:
    return Origins(
        config.site.app or local(config, "app"),
        config.site.id or local(config, "id"),
        config.site.files or local(config, "files"),
    )


def local(config: Config, host: str) -> str:
    """`http://app.localhost:8080`: the browser's spelling, so without a default port."""
    scheme, default = ("http", 80) if config.gateway.tls.mode == "off" else ("https", 443)
    port = config.gateway.port
    return f"{scheme}://{host}.localhost" + ("" if port == default else f":{port}")
