"""`bartizan reset`: deletes a data directory and what the engines keep beside it. Only ours, only when stopped."""

from __future__ import annotations

import shutil
from pathlib import Path

from bartizan.database.place import forget
from bartizan.stack.home import Home, Trouble
from bartizan.stack.leftovers import settle


def look(data: Path) -> Home:
    """Raises Trouble where nothing can be deleted, so that nobody is asked about it."""
    home = Home(data)
    if not home.exists():
        raise Trouble(f"There is no instance in {data}.")
    home.check_owner()
    home.lock()  # raises where a run holds it
    home.unlock()
    return home


def delete(data: Path) -> None:
    home = look(data)
    home.open()
    home.lock()
    settle(home)
    sockets = home.sockets()
    forget(home.data)
    shutil.rmtree(home.data)
    shutil.rmtree(sockets, ignore_errors=True)
