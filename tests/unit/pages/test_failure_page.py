"""The error page: what happened, that nothing was shared, one button, then code, request and time."""

from __future__ import annotations

from urllib.parse import urlencode

from tests.unit.auth.house import APP, PRINT_SHOP, asked
from tests.unit.pages.house import Page, PagesHouse

from bartizan.protocol.refusal import Unavailable


def test_an_authorization_that_cannot_be_sent_back(house: PagesHouse) -> None:
    wish = asked(PRINT_SHOP, redirect_uri="https://evil.example/callback")
    answer = house.get(f"/authorize?{urlencode(wish)}")
    assert answer.status == 400
    assert "We stopped this sign-in" in answer.text
    assert "Nothing was shared." in answer.text
    assert "evil.example" not in answer.text, "what was sent stands in the log and the console, not here"
    page = Page(answer.text)
    for wanted in ("cancel", "error-code", "request-id"):
        assert page.ids.count(wanted) == 1
    (button,) = [values for _, values in page.tags if values.get("id") == "cancel"]
    assert button["href"] == APP


def test_the_request_id_is_the_one_of_the_log_and_of_the_header(house: PagesHouse) -> None:
    answer = house.call("GET", "/nowhere", headers={"accept": "text/html", "x-request-id": "req-from-envoy"})
    assert (answer.status, answer.header("x-request-id")) == (404, "req-from-envoy")
    assert '<dd id="request-id">req-from-envoy</dd>' in answer.text


def test_a_database_that_is_away_is_503_and_says_when_to_come_back(house: PagesHouse) -> None:
    def away() -> object:
        raise Unavailable("the database", 4)

    house.enter()
    house.store.reading = away  # type: ignore[method-assign, assignment]  # for this test
    answer = house.get("/account")
    assert (answer.status, answer.header("retry-after")) == (503, "4")
    assert "database" not in answer.text
    assert "We are away for a moment" in answer.text


def test_a_defect_in_a_page_tells_nothing(house: PagesHouse) -> None:
    def broken() -> object:
        raise RuntimeError("the secret is hunter2")

    house.enter()
    house.store.reading = broken  # type: ignore[method-assign, assignment]  # for this test
    answer = house.get("/account")
    assert answer.status == 500
    assert "hunter2" not in answer.text
    assert "Something broke on our side" in answer.text


def test_a_script_gets_json_from_a_page_that_it_has_no_business_with(house: PagesHouse) -> None:
    answer = house.call("GET", "/nowhere", headers={"accept": "*/*"})
    assert answer.json["error"] == "not_found"
