"""Mails: both parts, inline style, the link once as a button and once as text, never a question for a secret."""

from __future__ import annotations

from uuid import UUID

import pytest
from tests.unit.auth.house import BFF, SETTINGS, USER
from tests.unit.pages.house import PagesHouse

from bartizan.auth import mail, mailjobs
from bartizan.model.job import Job
from bartizan.model.mail import Mail

VALUES: dict[str, object] = {
    "name": "Ada <b>L</b>\r\nBcc: x",
    "link": "http://id.localhost:8080/verify/abc",
    "until": "10:00 UTC on 1 Jan 2030",
    "when": "at 10:00 UTC",
    "app": "Snapshots",
    "facts": [("App", "Snapshots")],
}


def written(name: str) -> Mail:
    return mail.write(name, SETTINGS, mail_id=UUID(int=1), to="ada@example.test", **VALUES)


@pytest.mark.parametrize("name", mail.KINDS)
def test_every_mail(name: str) -> None:
    made = written(name)
    assert made.text.startswith(made.subject + "\n\n")
    assert made.text.endswith("-- \nBartizan ID, id.localhost:8080\n")
    assert all(len(line) <= 78 for line in made.text.splitlines())
    assert "<b>" not in made.html
    assert "\r" not in made.text
    assert "\nBcc:" not in made.text
    assert "style=" in made.html
    assert "<link" not in made.html
    assert "@media (prefers-color-scheme: dark)" in made.html
    assert "src=" not in made.html, "nothing is loaded: a mail tells nobody that it was opened"
    for secret in ("your password is", "type your password here"):
        assert secret not in made.text.lower()


@pytest.mark.parametrize("name", ["verify", "reset", "email"])
def test_the_link_is_a_button_and_text(name: str) -> None:
    made = written(name)
    link = str(VALUES["link"])
    assert (made.html.count(f'href="{link}"'), made.html.count(f">{link}<"), made.text.count(link)) == (1, 1, 1)


def test_only_alarms_are_red() -> None:
    assert ("#9c2b1c" in written("theft").html.split("<body", 1)[1]) is True
    assert "#9c2b1c" not in written("verify").html.split("<body", 1)[1]


@pytest.mark.parametrize(("device", "network"), [("Firefox on Linux", "203.0.113.0/24"), ("", "")])
def test_theft_is_told_with_what_the_rotation_enqueues(house: PagesHouse, device: str, network: str) -> None:
    house.tables.jobs.append(
        Job(
            id=UUID(int=3),
            kind="mail.theft",
            detail={
                "user_id": str(USER.id),
                "client_id": BFF.id,
                "session_id": str(UUID(int=5)),  # ended with the theft: no longer among the user's
                "gid": str(UUID(int=4)),
                "at": "2030-01-01T14:21:00+00:00",
                "device": device,
                "network": network,
            },
        )
    )
    (made,) = house.deliver()
    assert (made.id, made.to) == (str(UUID(int=3)), USER.email)
    assert "At 14:21 UTC a session of yours was" in made.text
    assert "Snapshots" in made.text
    assert "/account#sessions" in made.text
    assert [word in made.text for word in ("Device", "Network")] == [bool(device), bool(network)]
    assert device in made.text
    assert network in made.text


def test_a_mail_that_is_no_longer_true_is_not_sent(house: PagesHouse) -> None:
    house.submit("/reset", "/reset", identifier=USER.email)
    house.forward(hours=1)
    assert house.deliver() == []


def test_there_is_a_job_for_every_mail(house: PagesHouse) -> None:
    rows = mailjobs.rows(house.settings, house.ports.store, house.ports.ring, house.mailbox)
    assert {row.kind for row in rows} - {"mail.none"} == {f"mail.{name}" for name in mail.KINDS}
