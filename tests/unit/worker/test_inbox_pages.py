"""The inbox page: what is shown of a mail cannot act, and only its own button empties it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from starlette.types import ASGIApp
from tests.unit.web.calling import call

from bartizan.model.mail import Mail
from bartizan.worker.inbox.app import build
from bartizan.worker.inbox.box import Box
from bartizan.worker.settings import InboxSettings
from bartizan.worker.smtp import compose

START = datetime(2030, 1, 1, 14, 21, tzinfo=UTC)
ID = "http://id.localhost:8080"
LINK = f"{ID}/verify/abc"


@pytest.fixture
def box(tmp_path: Path) -> Box:
    seconds = count()
    settings = InboxSettings(directory=tmp_path, socket=tmp_path / "s", id_origin=ID)
    return Box(settings, lambda: START + timedelta(seconds=next(seconds)), lambda n: b"\0" * n)


@pytest.fixture
def app(box: Box, tmp_path: Path) -> ASGIApp:
    settings = InboxSettings(directory=tmp_path, socket=tmp_path / "s", id_origin=ID)
    return build(settings, box, lambda: START)


def caught(box: Box, subject: str = "Confirm your address", html: str = "<p>Hello</p>") -> str:
    mail = Mail(id="m", to="dana@example.com", subject=subject, text=f"Open this: {LINK}\n", html=html)
    return box.put(compose(mail, "ID <no-reply@example.com>", START).as_bytes())


def test_the_button_opens_the_mails_own_link(app: ASGIApp, box: Box) -> None:
    assert "No mail yet" in call(app, "GET", "/dev/inbox").text
    mail_id = caught(box)
    listed = call(app, "GET", "/dev/inbox")
    assert listed.status == 200
    assert f'href="/dev/inbox/{mail_id}"' in listed.text
    page = call(app, "GET", f"/dev/inbox/{mail_id}").text
    assert f'id="open-link" href="{LINK}"' in page
    assert 'sandbox=""' in page
    assert "<script" not in page
    assert 'class="seen"' in call(app, "GET", "/dev/inbox").text


@pytest.mark.parametrize(
    ("view", "shows"), [("text", "Open this"), ("source", "Message-ID: "), ("headers", "Auto-Submitted")]
)
def test_a_mail_can_be_read_in_every_form(app: ASGIApp, box: Box, view: str, shows: str) -> None:
    assert shows in call(app, "GET", f"/dev/inbox/{caught(box)}?view={view}").text


def test_a_mails_html_is_an_origin_of_its_own_in_which_nothing_runs(app: ASGIApp, box: Box) -> None:
    mail_id = caught(box, html="<script>fetch('/account')</script>")
    answer = call(app, "GET", f"/dev/inbox/{mail_id}/html")
    assert answer.header("content-security-policy") == (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
    )
    assert answer.header("x-content-type-options") == "nosniff"
    assert answer.all("content-type") == ["text/html; charset=utf-8"]


def test_what_a_mail_says_is_text_on_our_page(app: ASGIApp, box: Box) -> None:
    mail_id = caught(box, subject="<img src=x onerror=alert(1)>")
    for view in ("html", "text", "source", "headers"):
        assert "<img src=x" not in call(app, "GET", f"/dev/inbox/{mail_id}?view={view}").text


@pytest.mark.parametrize("path", ["/dev/inbox/nothing", "/dev/inbox/..%2f..", "/dev/inbox/x/html", "/dev/inbox/a/b/c"])
def test_what_is_not_there_is_not_found(app: ASGIApp, path: str) -> None:
    assert call(app, "GET", path).status == 404


def test_only_the_inbox_itself_empties_it(app: ASGIApp, box: Box) -> None:
    caught(box)
    for headers in (
        {},
        {"sec-fetch-site": "cross-site", "origin": ID},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://app.localhost:8080"},
        {"origin": "null"},
    ):
        assert call(app, "POST", "/dev/inbox/clear", headers=headers).status == 403
    assert len(box.all()) == 1
    done = call(app, "POST", "/dev/inbox/clear", headers={"sec-fetch-site": "same-origin", "origin": ID})
    assert (done.status, done.header("location"), box.all()) == (303, "/dev/inbox", [])
