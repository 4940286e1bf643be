"""Story 6: the print shop's page may read one route with a bearer token; nobody else's page may; errors alike."""

from __future__ import annotations

import pytest
from tests.browser.site import Site
from tests.browser.wire import send

pytestmark = [pytest.mark.stack]

SHARED = "/api/shared"


def test_the_allowed_origin_and_no_other_gets_cors_headers(site: Site, printshop_token: str) -> None:
    allowed, others = site.printshop, ["http://evil.localhost", "null", site.printshop + "0", site.id]
    cases = {
        "2xx": (SHARED, f"Bearer {printshop_token}", 200),
        "4xx": (SHARED, "Bearer not-a-token", 401),
        "5xx": (SHARED + "?fail=1", f"Bearer {printshop_token}", 500),
    }
    for name, (path, authorization, status) in cases.items():
        answer = send("GET", site.app + path, headers={"Origin": allowed, "Authorization": authorization})
        assert answer.status == status, (name, answer.body)
        assert answer.all("access-control-allow-origin") == [allowed], name
        assert answer.header("access-control-allow-credentials") is None, name
        assert "origin" in (answer.header("vary") or "").lower(), name
        for origin in others:
            answer = send("GET", site.app + path, headers={"Origin": origin, "Authorization": authorization})
            assert not [key for key, _ in answer.headers if key.lower().startswith("access-control-")], (name, origin)


def test_preflights_are_answered_at_the_gateway(site: Site) -> None:
    ask = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    yes = send("OPTIONS", site.app + SHARED, headers={"Origin": site.printshop, **ask})
    assert yes.status in (200, 204)
    assert yes.all("access-control-allow-origin") == [site.printshop]
    assert "authorization" in (yes.header("access-control-allow-headers") or "").lower()
    for origin, path in (("http://evil.localhost", SHARED), (site.printshop, "/api/photos")):
        no = send("OPTIONS", site.app + path, headers={"Origin": origin, **ask})
        assert not [key for key, _ in no.headers if key.lower().startswith("access-control-")], (origin, path)
