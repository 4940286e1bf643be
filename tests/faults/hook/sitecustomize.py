"""Failpoints and mutants, put into the product's source while a test's process imports it. One mechanism for both.

In the source a failpoint is a comment: `# failpoint: rotated`. Python drops comments, so in normal runs nothing of it
is left in the bytecode (a test shows that). A test starts a process with this directory on PYTHONPATH, and then
`import bartizan…` reads the comment as the call `failpoint("rotated")`.

    BARTIZAN_FAILPOINT="rotated=kill"        the process ends as by kill -9 when it comes there
                       "rotated=kill@3"      ... the third time
                       "rotated=raise"       OSError; "=unavailable" bartizan's own Unavailable; "=memory" MemoryError
                       "rotated=sleep:0.2"   holds the whole process
                       "rotated=note"        only notes that it came by
    BARTIZAN_FAILPOINT_FILE=<file>           the plan of a process that runs: read at each passing while it is there,
                                             counted from when it was written; the name "any" stands for all
    BARTIZAN_FAILPOINTS_PASSED=<file>        every name passed is appended, a line each
    BARTIZAN_MUTANT=<file>                   JSON [{"module", "before", "after"}]: a protection taken out
"""

import importlib.abc
import importlib.machinery
import json
import os
import re
import signal
import sys
import time
from collections import Counter
from pathlib import Path

_MARK = re.compile(r"^(\s*)# failpoint: ([a-z0-9_.]+)$", re.MULTILINE)


def _read(plan: str) -> list[tuple[str, str]]:
    return [(name, what) for name, _, what in (entry.partition("=") for entry in plan.split(",") if entry)]


_PLAN = _read(os.environ.get("BARTIZAN_FAILPOINT", ""))
_FILE = os.environ.get("BARTIZAN_FAILPOINT_FILE")
_PASSED = os.environ.get("BARTIZAN_FAILPOINTS_PASSED")
_seen: Counter[str] = Counter()
_armed = ""  # the file's text, since when _seen_armed counts
_seen_armed: Counter[str] = Counter()


def failpoint(name: str) -> None:
    if _PASSED:
        with Path(_PASSED).open("a", encoding="ascii") as out:
            out.write(f"{name}\n")
    _pass(name, _PLAN, _seen)
    if _FILE:
        _pass_armed(name, Path(_FILE))


def _pass_armed(name: str, file: Path) -> None:
    global _armed
    text = file.read_text("ascii") if file.exists() else ""
    if text != _armed:
        _armed = text
        _seen_armed.clear()
    if text:
        _pass(name, _read(text), _seen_armed)


def _pass(name: str, plan: list[tuple[str, str]], seen: Counter[str]) -> None:
    seen[name] += 1
    seen["any"] += 1
    for planned, what in plan:
        action, _, times = what.partition("@")
        if planned in (name, "any") and (not times or seen[planned] == int(times)):
            _act(name, action)


def _act(name: str, action: str) -> None:
    kind, _, amount = action.partition(":")
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(10)  # the signal is on its way: nothing after this line may happen
    elif kind == "sleep":
        time.sleep(float(amount))
    elif kind == "raise":
        raise OSError(f"failpoint {name}")
    elif kind == "memory":
        raise MemoryError(f"failpoint {name}")
    elif kind == "unavailable":
        from bartizan.protocol.refusal import Unavailable

        raise Unavailable(f"failpoint {name}", 1)
    elif kind != "note":
        raise ValueError(f"no such action at a failpoint: {action}")


def rewritten(module: str, source: str) -> str:
    for change in _changes():
        if change["module"] == module:
            if source.count(change["before"]) != 1:
                raise ImportError(f"mutant of {module}: its text is there {source.count(change['before'])} times")
            source = source.replace(change["before"], change["after"])
    return _MARK.sub(r'\1__import__("sitecustomize").failpoint("\2")', source)


def _changes() -> list[dict[str, str]]:
    path = os.environ.get("BARTIZAN_MUTANT")
    if not path:
        return []
    changes: list[dict[str, str]] = json.loads(Path(path).read_text("utf-8"))
    return changes


class _Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname: str):  # type: ignore[no-untyped-def]  # as its base says it
        """What is rewritten comes from no cache and goes into none. The rest is loaded as always, which is quicker."""
        path = self.get_filename(fullname)
        source = self.get_data(path).decode("utf-8")
        changed = rewritten(fullname, source)
        if changed == source:
            return super().get_code(fullname)
        return compile(changed, path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname, path, target=None):  # type: ignore[no-untyped-def]  # as its base says it
        if fullname.partition(".")[0] != "bartizan":
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


if _PLAN or _FILE or _PASSED or os.environ.get("BARTIZAN_MUTANT"):
    sys.meta_path.insert(0, _Finder())
