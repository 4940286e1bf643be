"""The commands of `client` (design §7): apps that may ask for access, from the command line."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import App

from bartizan.stack.command import DEFAULT_DATA, Data, File, Json, Many, show, with_instance

client = App(name="client", help="Apps that may ask for access.")


@client.command(name="create")
def client_create(
    client_id: str,
    /,
    *,
    kind: Literal["server", "browser", "native", "agent"],
    name: str = "",
    redirect_uri: Annotated[tuple[str, ...], Many] = (),
    grant: Annotated[tuple[str, ...], Many] = (),
    scope: Annotated[tuple[str, ...], Many] = (),
    auth_method: Literal["", "client_secret_basic", "client_secret_post", "none"] = "",
    config: File = None,
    data: Data = DEFAULT_DATA,
    json: Json = False,
) -> None:
    """Register an app. Its secret is shown once: only a fingerprint is kept.

    Parameters
    ----------
    client_id
        What the app calls itself by: client_id.
    kind
        server: keeps a secret. native: on a device, keeps none. agent: acts for itself. browser: only in the file.
    name
        What people read when it asks for access; else the id.
    redirect_uri
        Where a code may be sent, letter by letter. May be said several times.
    grant
        What it may ask tokens by: authorization_code, refresh_token, client_credentials. Else what suits the kind.
    scope
        What it may ask for: of OpenID Connect, or named under [auth.scopes].
    auth_method
        How it proves itself; else what suits the kind.
    """
    from bartizan.stack import operations

    new = operations.NewClient(
        id=client_id, kind=kind, name=name, redirect_uris=redirect_uri, grants=grant, scopes=scope,
        auth_method=auth_method,
    )  # fmt: skip
    show(with_instance(config, data, lambda instance: operations.create_client(instance, new)), json)


@client.command(name="list")
def client_list(*, config: File = None, data: Data = DEFAULT_DATA, json: Json = False) -> None:
    """All apps."""
    from bartizan.stack import operations

    show(with_instance(config, data, operations.list_clients), json)


@client.command(name="show")
def client_show(client_id: str, /, *, config: File = None, data: Data = DEFAULT_DATA, json: Json = False) -> None:
    """One app.

    Parameters
    ----------
    client_id
        Its id.
    """
    from bartizan.stack import operations

    show(with_instance(config, data, lambda instance: operations.show_client(instance, client_id)), json)


@client.command(name="delete")
def client_delete(client_id: str, /, *, config: File = None, data: Data = DEFAULT_DATA, json: Json = False) -> None:
    """Delete an app of the console, with all access it has.

    Parameters
    ----------
    client_id
        Its id.
    """
    from bartizan.stack import operations

    show(with_instance(config, data, lambda instance: operations.delete_client(instance, client_id)), json)
