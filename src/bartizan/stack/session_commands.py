"""The commands of `session` (design §7): who is signed in, and ending it, for one or for many at once (flows §7)."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App

from bartizan.stack.command import DEFAULT_DATA, Data, File, Flag, Json, confirmed, say, show, with_instance

session = App(name="session", help="Who is signed in.")


@session.command(name="list")
def session_list(who: str = "", *, config: File = None, data: Data = DEFAULT_DATA, json: Json = False) -> None:
    """Sessions of everybody, or of one person.

    Parameters
    ----------
    who
        E-mail or id; else everybody.
    """
    from bartizan.stack import operations

    show(with_instance(config, data, lambda instance: operations.list_sessions(instance, who)), json)


@session.command(name="end")
def session_end(session_id: str, /, *, config: File = None, data: Data = DEFAULT_DATA, json: Json = False) -> None:
    """End a session and all access that hangs on it, everywhere within two seconds.

    Parameters
    ----------
    session_id
        Its id, as `session list` shows it.
    """
    from bartizan.stack import operations

    show(with_instance(config, data, lambda instance: operations.end_session(instance, session_id)), json)


@session.command(name="end-all")
def session_end_all(
    *,
    client: str = "",
    before: str = "",
    but: str = "",
    offline: Annotated[bool, Flag] = False,
    yes: Annotated[bool, Flag] = False,
    config: File = None,
    data: Data = DEFAULT_DATA,
    json: Json = False,
) -> int:
    """End many sessions at once, everywhere within two seconds. Says how many, and asks first.

    Parameters
    ----------
    client
        Only what this app has. Nobody is signed out of anything else.
    before
        Only what began before this time, e.g. 2026-11-24 or 2026-11-24T08:30, UTC if no zone is named.
    but
        Not those of this person, by e-mail or id.
    offline
        Also access that a person allowed to outlive every sign-out (offline_access).
    yes
        Do not ask.
    """
    from bartizan.stack import ending

    wish = ending.Wish(client=client, before=ending.moment(before), but=but, offline=offline)
    if not yes:  # looked at first: who has named nobody is told so, and not asked whether they are sure
        meant = with_instance(config, data, lambda instance: ending.look(instance, wish))
        if ending.in_vain(wish, meant):
            say("There is nothing to end.")
            show(ending.NOTHING, json)
            return 0
        if (meant.sessions or meant.families) and not confirmed(ending.question(wish, meant)):
            say("Nothing was ended.")
            return 1
    show(with_instance(config, data, lambda instance: ending.end_all(instance, wish)), json)
    return 0
