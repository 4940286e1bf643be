"""The commands of `user` (design §7): people, from the command line."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import App

from bartizan.stack.command import DEFAULT_DATA, Data, File, Flag, Json, show, with_instance

user = App(name="user", help="People.")


@user.command(name="create")
def user_create(
    email: str,
    /,
    *,
    name: str = "",
    password_stdin: Annotated[bool, Flag] = False,
    verified: Annotated[bool, Flag] = False,
    admin: Annotated[bool, Flag] = False,
    config: File = None,
    data: Data = DEFAULT_DATA,
    json: Json = False,
) -> None:
    """Make an account. Without --password-stdin a password is made and shown once.

    Parameters
    ----------
    email
        The address to sign in with.
    name
        What the person is called.
    password_stdin
        Read the password from the first line of standard input.
    verified
        The address is known to be theirs: no mail is sent to ask.
    admin
        May use the console.
    """
    from bartizan.stack import operations

    password = sys.stdin.readline().rstrip("\n") if password_stdin else None
    new = operations.NewUser(email=email, name=name, password=password, verified=verified, admin=admin)
    show(with_instance(config, data, lambda instance: operations.create_user(instance, new)), json)


@user.command(name="list")
def user_list(search: str = "", *, config: File = None, data: Data = DEFAULT_DATA, json: Json = False) -> None:
    """All people, or those whose name or address has SEARCH in it.

    Parameters
    ----------
    search
        A part of the name or the address.
    """
    from bartizan.stack import operations

    show(with_instance(config, data, lambda instance: operations.list_users(instance, search)), json)


@user.command(name="show")
def user_show(who: str, /, *, config: File = None, data: Data = DEFAULT_DATA, json: Json = False) -> None:
    """One person, by e-mail or id: sessions and apps with access.

    Parameters
    ----------
    who
        E-mail or id.
    """
    from bartizan.stack import operations

    show(with_instance(config, data, lambda instance: operations.show_user(instance, who)), json)


@user.command(name="delete")
def user_delete(who: str, /, *, config: File = None, data: Data = DEFAULT_DATA, json: Json = False) -> None:
    """Erase a person.

    Parameters
    ----------
    who
        E-mail or id.
    """
    from bartizan.stack import operations

    show(with_instance(config, data, lambda instance: operations.delete_user(instance, who)), json)


@user.command(name="lock")
def user_lock(who: str, /, *, config: File = None, data: Data = DEFAULT_DATA, json: Json = False) -> None:
    """End all sessions of a person and refuse new ones.

    Parameters
    ----------
    who
        E-mail or id.
    """
    from bartizan.stack import operations

    show(with_instance(config, data, lambda instance: operations.lock_user(instance, who, locked=True)), json)


@user.command(name="unlock")
def user_unlock(who: str, /, *, config: File = None, data: Data = DEFAULT_DATA, json: Json = False) -> None:
    """Let a locked person sign in again.

    Parameters
    ----------
    who
        E-mail or id.
    """
    from bartizan.stack import operations

    show(with_instance(config, data, lambda instance: operations.lock_user(instance, who, locked=False)), json)
