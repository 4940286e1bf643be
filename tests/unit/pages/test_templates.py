"""What holds of every template: nothing inline, labels, methods, and the ids that must not change."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.unit.pages.house import PagesHouse

import bartizan.auth
import bartizan.web
from bartizan.auth import desk
from bartizan.auth.pages import routes

ROOMS = [Path(room.__path__[0]) for room in (bartizan.auth, bartizan.web)]
MAILS = ROOMS[0] / "templates" / "mail"
TEMPLATES = sorted(path for room in ROOMS for path in room.rglob("*.html") if MAILS not in path.parents)

# Scripts, password managers and the stories in the browser rely on these (issue, flows): never rename.
STABLE = {
    "signin/enter/page.html": ["identifier", "password", "sign-in", "cancel"],
    "signin/signup/page.html": ["name", "email", "new-password", "sign-up"],
    "signin/checkmail/page.html": ["resend"],
    "signin/verify/page.html": ["verify", "password"],
    "signin/consent/page.html": ["consent-allow", "consent-deny"],
    "signin/choose/page.html": ["account-{{ loop.index }}", "account-other"],
    "signin/leave/page.html": ["sign-out", "stay"],
    "account/page.html": ["name", "email", "current-password", "new-password", "sessions-end-others"],
    "failure.html": ["cancel", "error-code", "request-id"],
}


def text_of(name: str) -> str:
    (path,) = [path for path in TEMPLATES if path.as_posix().endswith("/" + name)]
    return path.read_text("utf-8")


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.relative_to(path.parents[2]).as_posix())
def test_nothing_inline(path: Path) -> None:
    text = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "", path.read_text("utf-8"))
    assert not re.search(r"\sstyle\s*=|<style|\son[a-z]+\s*=|javascript:", text, re.IGNORECASE)
    for attributes in re.findall(r"<script\b([^>]*)>", text):
        assert " src=" in attributes
    assert "http://" not in text
    assert "https://" not in text.replace("https://print.example.org", "")


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.relative_to(path.parents[2]).as_posix())
def test_every_post_form_carries_the_csrf_field(path: Path) -> None:
    for form in re.findall(r"<form\b.*?</form>", path.read_text("utf-8"), re.DOTALL):
        assert ('method="post"' in form) == ("{{ csrf() }}" in form), form
        assert 'method="' in form
        assert 'action="/' in form


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.relative_to(path.parents[2]).as_posix())
def test_nothing_is_marked_safe_but_our_own_icons(path: Path) -> None:
    assert "| safe" not in path.read_text("utf-8") or path.name == "icons.html"


@pytest.mark.parametrize(("name", "ids"), STABLE.items(), ids=lambda value: str(value))
def test_the_ids_stay(name: str, ids: list[str]) -> None:
    text = text_of(name)
    for wanted in ids:
        assert f'id="{wanted}"' in text or f'password("{wanted}"' in text, wanted


def test_every_page_is_served_under_a_policy_that_allows_nothing_inline(house: PagesHouse) -> None:
    house.enter()
    for row in routes(desk.build(house.ports, house.settings)):
        if "GET" not in row.methods or "{" in row.path:
            continue
        answer = house.get(row.path)
        policy = answer.header("content-security-policy") or ""
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.header("referrer-policy") == "same-origin"
        assert answer.header("cache-control") == "no-store"


def test_no_page_answers_for_a_path_of_a_protocol_endpoint(house: PagesHouse) -> None:
    paths = {row.path for row in routes(desk.build(house.ports, house.settings))}
    assert not paths & {"/authorize", "/token", "/par", "/revoke", "/introspect", "/userinfo", "/jwks"}
