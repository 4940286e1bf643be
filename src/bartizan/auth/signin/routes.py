"""The pages on the way in and out, a row each: adding one is a folder and a row."""

from __future__ import annotations

from bartizan.auth.desk import Desk
from bartizan.auth.signin.cancel import page as cancel
from bartizan.auth.signin.checkmail import page as checkmail
from bartizan.auth.signin.choose import page as choose
from bartizan.auth.signin.consent import page as consent
from bartizan.auth.signin.enter import page as enter
from bartizan.auth.signin.leave import page as leave
from bartizan.auth.signin.reset import page as reset
from bartizan.auth.signin.setup import page as setup
from bartizan.auth.signin.signup import page as signup
from bartizan.auth.signin.verify import page as verify
from bartizan.model.route import Route

PAGES = (
    enter.rows,
    cancel.rows,
    signup.rows,
    checkmail.rows,
    verify.rows,
    reset.rows,
    consent.rows,
    choose.rows,
    leave.rows,
    setup.rows,
)


def routes(desk: Desk) -> tuple[Route, ...]:
    return tuple(row for rows in PAGES for row in rows(desk))
