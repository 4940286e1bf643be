"""W8: what a person typed never becomes a second header, a second recipient or a second mail."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.model.mail import Mail
from bartizan.worker.smtp import compose

NOW = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
SENDER = "Example ID <no-reply@example.com>"


def mail(**changes: str) -> Mail:
    fields = {"id": "0190-abc", "to": "alice@example.com", "subject": "Hello", "text": "Text\n", "html": "<p>Html</p>"}
    return Mail(**{**fields, **changes})


def sent(message: EmailMessage) -> EmailMessage:
    parsed = message_from_bytes(message.as_bytes(), policy=policy.SMTP)
    assert isinstance(parsed, EmailMessage)
    return parsed


def test_a_mail_has_both_bodies_and_one_id_for_all_its_retries() -> None:
    first, second = (sent(compose(mail(), SENDER, NOW)) for _ in range(2))
    assert first["Message-ID"] == second["Message-ID"] == "<0190-abc@example.com>"
    assert first["Date"] == "Tue, 01 Jan 2030 12:00:00 +0000"
    assert [part.get_content_type() for part in first.iter_parts()] == ["text/plain", "text/html"]


@pytest.mark.parametrize(
    "subject",
    [
        "Hi\r\nBcc: eve@example.com",
        "Hi\nBcc: eve@example.com",
        "Hi\rBcc: x",
        "Hi\x0bBcc: x",
        "Hi\x85Bcc: x",
        "Hi\u2028Bcc: x",
    ],
)
def test_a_subject_stays_one_header(subject: str) -> None:
    message = sent(compose(mail(subject=subject), SENDER, NOW))
    assert message["Bcc"] is None
    assert message["Subject"].startswith("Hi Bcc:")


@pytest.mark.parametrize(
    "to",
    ["a@x\r\nBcc: b@y", "a@x, b@y", "a@x b@y", "<a@x>", "Alice <a@x>", "a", "", "a@b@c", "a@x;b@y", "a@x\x00"],
)
def test_a_recipient_is_exactly_one_address(to: str) -> None:
    with pytest.raises(ValueError, match="recipient"):
        compose(mail(to=to), SENDER, NOW)


@pytest.mark.parametrize("ident", ["", "a b", "a>\r\nX: y", "a@b", "x" * 129])
def test_an_id_that_fits_no_message_id_is_refused(ident: str) -> None:
    with pytest.raises(ValueError, match="Message-ID"):
        compose(mail(id=ident), SENDER, NOW)


@given(st.text(max_size=200))
def test_no_subject_adds_a_header(subject: str) -> None:
    message = compose(mail(subject=subject.encode("utf-8", "replace").decode()), SENDER, NOW)
    names = [name.lower() for name in sent(message)]
    assert sorted(names) == [
        "auto-submitted", "content-type", "date", "from", "message-id", "mime-version", "subject", "to",
    ]  # fmt: skip
