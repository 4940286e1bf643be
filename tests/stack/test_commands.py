"""The command line against a running and against a stopped instance (issue 3)."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.many import crowd
from tests.fixtures.stack import Stack

from bartizan.stack import cli
from bartizan.stack import compile as compiled
from bartizan.stack.instance import opened

pytestmark = pytest.mark.stack


def run(data: Path, *words: str, stdin: str = "", code: int = 0) -> Any:
    """In this process, as the console script does it: fifty starts of Python would be most of the time. What is asked
    (`said`) and what scripts read (`status`, `check`) goes through a program of its own."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(sys, "argv", ["bartizan", *words, "--data", str(data), "--json"])
        patch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert ended.value.code == code, f"{words}: {out.getvalue()}{err.getvalue()}"
    return json.loads(out.getvalue()) if code == 0 else err.getvalue()


def people(data: Path) -> None:
    email = "ada@example.com"
    made = run(data, "user", "create", email, "--password-stdin", "--verified", "--admin", stdin="walks-a-long-way\n")
    assert made["email"] == email
    assert made["verified"] is made["admin"] is True
    assert "password" not in made
    assert "already has an account" in run(data, "user", "create", email, code=1)
    assert "will not do" in run(data, "user", "create", f"x{email}", "--password-stdin", stdin="short\n", code=1)
    shown = run(data, "user", "create", f"b{email}")
    assert len(shown["password"]) >= 12, "made, and shown once"
    assert email in [row["email"] for row in run(data, "user", "list")]
    assert run(data, "user", "show", made["id"])["email"] == email
    assert run(data, "user", "lock", email)["locked"] is True
    assert run(data, "user", "unlock", email)["locked"] is False
    assert run(data, "user", "delete", f"b{email}")["deleted"] is True
    assert "There is nobody" in run(data, "user", "show", f"b{email}", code=1)


def apps(data: Path) -> None:
    words = ("--kind", "server", "--redirect-uri", "https://a.example/cb", "--scope", "openid", "profile")
    client = run(data, "client", "create", "theirs", *words)
    assert client["secret"].startswith("bzs_")
    assert client["scopes"] == ["openid", "profile"]
    assert "already" in run(data, "client", "create", "theirs", *words, code=1)
    assert "not encrypted" in run(
        data, "client", "create", "x", "--kind", "server", "--redirect-uri", "http://a.example/cb", code=1
    )
    assert "secret" not in run(data, "client", "show", "theirs")
    assert "theirs" in [row["id"] for row in run(data, "client", "list")]
    assert run(data, "client", "delete", "theirs")["deleted"] is True
    browser = next(row for row in run(data, "client", "list") if row["owner"] == "file")
    assert "belongs to the file" in run(data, "client", "delete", browser["id"], code=1)


def keys(data: Path) -> None:
    before = run(data, "key", "list")
    assert [key["state"] for key in before].count("signs") <= 1
    rotated = run(data, "key", "rotate")
    assert len(rotated) >= len(before)
    assert "There is no key" in run(data, "key", "withdraw", "x", code=1)
    signs = next(row["kid"] for row in rotated if row["state"] == "signs")
    left = run(data, "key", "withdraw", signs)
    assert signs not in [row["kid"] for row in left]
    assert [row["state"] for row in left].count("signs") == 1


def signed_in(data: Path) -> None:
    """One ended by its id; of three more one person's is spared, and an app that has nothing loses nothing."""
    asyncio.run(planted(data))
    one, *others = run(data, "session", "list")
    assert len(others) == 3
    assert "is no session id" in run(data, "session", "end", "x", code=1)
    assert run(data, "session", "end", one["id"])["ended"] is True
    assert {row["id"] for row in run(data, "session", "list")} == {row["id"] for row in others}
    assert "is no time" in run(data, "session", "end-all", "--before", "soon", "--yes", code=1)
    for words in ((), ("--yes",)):  # found out before anybody is asked
        wrong = run(data, "session", "end-all", "--client", "x", *words, code=1)
        assert wrong == "--client: there is no client 'x'. See: bartizan client list\n"
        wrong = run(data, "session", "end-all", "--but", "x", *words, code=1)
        assert wrong == "--but: there is nobody 'x'. See: bartizan user list\n"
    asked = "End 3 sessions of 3 people, with 3 sign-ins to apps? Type yes: "
    assert said(data, "session", "end-all", stdin="no\n") == ("", f"{asked}Nothing was ended.\n")
    assert said(data, "session", "end-all", stdin="") == ("", f"{asked}\nNothing was ended.\n"), "as from cron"
    none = {"sessions_ended": 0, "access_ended": 0, "new_signing_key": False}
    assert run(data, "session", "end-all", "--before", "2020-01-01") == none, "nobody is asked about nothing"
    assert run(data, "session", "end-all", "--before", "2020-01-01", "--yes")["sessions_ended"] == 0
    spared = others[0]["user"]
    browser = next(row["id"] for row in run(data, "client", "list") if row["owner"] == "file")
    done = run(data, "session", "end-all", "--client", browser, "--but", spared, "--yes")
    assert done == {"sessions_ended": 0, "access_ended": 2, "new_signing_key": False}
    assert len(run(data, "session", "list")) == 3, "nobody is signed out of anything else"
    assert run(data, "session", "end-all", "--but", spared, "--offline", "--yes")["sessions_ended"] == 2
    assert [row["user"] for row in run(data, "session", "list")] == [spared]
    assert [row["user"] for row in run(data, "session", "list", spared)] == [spared]
    done, asked = said(data, "session", "end-all", "--json", stdin="yes\n", code=0)
    assert asked == "End 1 session of 1 person, with 1 sign-in to apps? Type yes: "
    assert json.loads(done) == {"sessions_ended": 1, "access_ended": 1, "new_signing_key": False}
    assert run(data, "session", "list") == []


async def planted(data: Path) -> None:
    """Four people, each signed in once."""
    async with opened(data, None) as instance:
        await crowd(compiled.database_url(instance.at), 4, client_id=compiled.bff(instance.at).id)


def said(data: Path, *words: str, stdin: str, code: int = 1) -> tuple[str, str]:
    """To somebody who is asked: what a program reads, and what a person does."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "bartizan.stack.cli", *words, "--data", str(data)],
        input=stdin, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout, done.stderr


def test_running_and_then_stopped(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "data").start()
    try:
        assert run(stack.data, "status")["ready"] is True
        for walk in (people, apps, keys, signed_in):
            walk(stack.data)
        assert run(stack.data, "migrate")["revision"]
    finally:
        stack.stop()
    stopped(stack.data)
    assert run(stack.data, "reset", "--yes")["deleted"]
    assert not stack.data.exists()


def stopped(data: Path) -> None:
    """Its database is started for each: one command of a kind shows it."""
    assert "ada@example.com" in [row["email"] for row in run(data, "user", "list")]
    assert run(data, "user", "lock", "ada@example.com")["locked"] is True
    assert run(data, "client", "create", "later", "--kind", "agent", "--scope", "openid")["secret"]
    assert [row["state"] for row in run(data, "key", "rotate")].count("signs") == 1
    assert run(data, "session", "end-all", "--yes")["sessions_ended"] == 0
    assert run(data, "migrate")["revision"]


def test_status_as_scripts_read_it(stack: Stack) -> None:
    status = run(stack.data, "status")
    assert set(status) == {"ready", "ready_seconds", "urls", "servers", "processes", "others", "supervisor"}
    assert status["ready"] is True
    assert isinstance(status["ready_seconds"], float)
    assert {"app", "id", "files", "inbox", "console"} <= set(status["urls"])
    assert all(url.startswith("http://") for url in status["urls"].values())
    assert len(status["servers"]) == 9
    for row in status["servers"]:
        kinds = {key: type(value) for key, value in row.items()}
        assert kinds == {
            "name": str, "ready": bool, "pids": list, "address": str, "pss_bytes": int, "version": str
        }  # fmt: skip
        assert all(isinstance(pid, int) for pid in row["pids"])
    assert [set(row) for row in status["others"]] == [{"name", "pids", "pss_bytes"}] * len(status["others"])


def test_the_card_fits_a_terminal(stack: Stack) -> None:
    """With a data directory of a short name, that is; the link of the first administrator does at any port."""
    lines = [line for line in stack.output.splitlines() if str(stack.data) not in line]
    assert any("/setup/" in line for line in lines)
    assert max(map(len, lines)) <= 80


def test_status_of_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bartizan.stack.cli", "status", "--json", "--data", str(tmp_path / "none")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert json.loads(done.stdout) == {
        "ready": False,
        "ready_seconds": None,
        "urls": {},
        "servers": [],
        "processes": [],
    }


def test_no_instance_is_a_sentence(tmp_path: Path) -> None:
    assert "There is no instance" in run(tmp_path / "none", "user", "list", code=1)


def test_routes_of_the_running_demo(stack: Stack) -> None:
    rows = run(stack.data, "routes")
    paths = {(row["origin"], row["path"]) for row in rows}
    assert {("id", "/token"), ("app", "/bff/login"), ("app", "/api/"), ("app", "/")} <= paths
    assert all(row["who"] for row in rows)


def test_doctor_and_check(tmp_path: Path) -> None:
    assert "bad" not in {row["state"] for row in run(tmp_path, "doctor", "--config", good(tmp_path))}
    assert run(tmp_path, "check", "--config", good(tmp_path)) == {"faults": [], "warnings": []}


def test_doctor_looks_at_the_seals_of_a_running_copy(stack: Stack) -> None:
    (events,) = [row for row in run(stack.data, "doctor") if row["what"] == "events"]
    assert (events["state"], events["says"].partition(";")[0]) == ("good", "The event log is as it was sealed")


def test_check_tells_all_faults_at_once(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(
        '[site]\nid = "http://app.localhost:8080"\n\n'
        '[[route]]\npath = "/"\nto = "http://127.0.0.1:5000"\ncsrf = "form"\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", "bartizan.stack.cli", "check", "--config", str(file), "--data", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert [line.split(":")[1:3] for line in done.stdout.splitlines()] == [["2", " site.id"], ["7", " route[0].csrf"]]


def good(tmp_path: Path) -> str:
    file = tmp_path / "good.toml"
    file.write_text('[[route]]\npath = "/"\nto = "http://127.0.0.1:5000"\nguard = "flask"\n')
    return str(file)
