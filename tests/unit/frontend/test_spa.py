"""The SPA: a table of files under addresses that hold their digest, the page with its policy, and nothing else."""

from __future__ import annotations

import os
import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import httpx2
import pytest
from msgspec.structs import replace
from tests.unit.auth.house import APP
from tests.unit.frontend.house import SCRIPT, SETTINGS, TYPED, Browser
from tests.unit.web.calling import Answer, call

from bartizan import demo
from bartizan.frontend import spa
from bartizan.frontend.app import build
from bartizan.frontend.spa_page import policy_for

INLINE = "document.documentElement.className = 'js'"
INDEX = f"""<!doctype html><html><head>
<link rel="stylesheet" href="/style.css"><link rel=canonical href="/app.js">
<link href='./icon.svg' rel='icon'><script>{INLINE}</script>
<script type="module" src="/app.js" data-src="/app.js"></script>
<script src="//cdn.example/app.js"></script></head><body><a href="/app.js">x</a></body></html>"""
APP_JS = """import {a} from './lib/a.js'; import b from "/lib/b.js"; import '/lib/b.js';
import('/lib/b.js'); import {user} from '/bff/client.js'; import x from '/not-there.js';"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "dist"
    (root / "lib").mkdir(parents=True)
    (root / "index.html").write_text(INDEX)
    (root / "app.js").write_text(APP_JS)
    (root / "lib" / "a.js").write_text("export const a = 1;")
    (root / "lib" / "b.js").write_text("export default 2;")
    (root / "style.css").write_text('@import "/lib/more.css"; body{background:url(/icon.svg)}')
    (root / "icon.svg").write_text("<svg/>")
    (root / ".env").write_text("SECRET=1")
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("secret")
    (tmp_path / "outside.txt").write_text("secret")
    (root / "link.txt").symlink_to(tmp_path / "outside.txt")
    return root


@pytest.fixture
def browser(folder: Path) -> Iterator[Browser]:
    with Browser(spa=folder) as opened:
        yield opened


def page(browser: Browser, path: str = "/") -> Answer:
    return browser.call("GET", path, TYPED)


def prefix(browser: Browser) -> str:
    found = re.search(r'src="(/-/[0-9a-f]{16}/)app\.js"', page(browser).text)
    assert found is not None
    return found[1]


def test_the_page_names_its_files_by_digest(browser: Browser) -> None:
    answer, at = page(browser), prefix(browser)
    assert answer.header("cache-control") == "no-cache"
    assert f'href="{at}style.css"' in answer.text
    assert f"href='{at}icon.svg'" in answer.text
    assert 'rel=canonical href="/app.js"' in answer.text
    assert '<a href="/app.js">' in answer.text
    assert 'data-src="/app.js"' in answer.text
    assert 'src="//cdn.example/app.js"' in answer.text


def test_versioned_files_are_kept_for_a_year(browser: Browser) -> None:
    at = prefix(browser)
    for name, kind in (("app.js", "text/javascript"), ("style.css", "text/css"), ("icon.svg", "image/svg+xml")):
        answer = browser.call("GET", at + name)
        assert answer.status == 200
        assert answer.header("cache-control") == "public, max-age=31536000, immutable"
        assert (answer.header("content-type") or "").startswith(kind)
        assert answer.header("x-content-type-options") == "nosniff"
    plain = browser.call("GET", "/app.js")
    assert plain.header("cache-control") == "no-cache"
    assert plain.text == APP_JS


def test_no_module_has_two_addresses(browser: Browser) -> None:
    at = prefix(browser)
    text = browser.call("GET", at + "app.js").text
    assert "from './lib/a.js'" in text
    assert f'from "{at}lib/b.js"' in text
    assert f"import '{at}lib/b.js'" in text
    assert f"import('{at}lib/b.js')" in text
    assert "'/bff/client.js'" in text
    assert "'/not-there.js'" in text
    assert f"url({at}icon.svg)" in browser.call("GET", at + "style.css").text


def test_etags(browser: Browser) -> None:
    for path in ("/", "/app.js", prefix(browser) + "app.js"):
        first = browser.call("GET", path, TYPED)
        tag = first.header("etag") or ""
        again = browser.call("GET", path, {**TYPED, "if-none-match": tag})
        assert (again.status, again.body, again.header("etag")) == (304, b"", tag)
        assert browser.call("GET", path, {**TYPED, "if-none-match": '"other"'}).status == 200


def test_a_new_build_is_seen_and_the_old_address_is_not_kept(
    browser: Browser, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = prefix(browser)
    (folder / "app.js").write_text("export {};")
    monkeypatch.setattr(spa, "_LOOK_AGAIN", 0.0)
    assert prefix(browser) != old
    answer = browser.call("GET", old + "app.js")
    assert (answer.text, answer.header("cache-control")) == ("export {};", "no-cache")


def test_history_falls_back_for_people_alone(browser: Browser) -> None:
    assert page(browser, "/photos/7?x=1").text == page(browser).text
    for headers in (SCRIPT, {"accept": "image/*"}, {**TYPED, "sec-fetch-mode": "no-cors"}, {}):
        assert browser.call("GET", "/photos/7", headers).status == 404
    assert page(browser, "/bff/unknown").status == 404
    assert page(browser, "/-/0000000000000000/photos").status == 404
    answer = browser.call("POST", "/photos/7", TYPED)
    assert (answer.status, answer.header("allow")) == (405, "GET, HEAD")


HIDDEN = ["/.env", "/.git/config", "/link.txt", "/../outside.txt", "/lib/../../outside.txt", "/lib/../.env"]
HIDDEN += ["//etc/passwd", "/lib//a.js", "/lib\\a.js", "/%2e%2e/outside.txt", "/lib/", "/lib", "/app.js/", "/app.js\0"]


@pytest.mark.parametrize("path", HIDDEN)
def test_only_what_was_found_is_served(browser: Browser, path: str) -> None:
    at = prefix(browser)
    for asked in (path, at + path.removeprefix("/")):
        answer = browser.call("GET", asked, SCRIPT)
        assert answer.status == 404
        assert "secret" not in answer.text.lower()


def test_the_policy(browser: Browser) -> None:
    answer = page(browser)
    policy = dict(part.split(" ", 1) for part in (answer.header("content-security-policy") or "").split("; "))
    digest = b64encode(sha256(INLINE.encode()).digest()).decode()
    files = "http://files.localhost:8080"
    assert policy["default-src"] == "'self'"
    assert policy["script-src"] == f"'self' 'sha256-{digest}'"
    assert policy["object-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert all(files in policy[name].split() for name in ("img-src", "media-src", "connect-src"))
    assert policy["report-uri"] == "/bff/csp-report"
    assert "unsafe" not in str(policy)
    assert "report-to" not in policy, "over http it would take the place of report-uri, and report nothing"
    assert answer.header("strict-transport-security") is None
    for name in ("x-content-type-options", "referrer-policy", "cross-origin-opener-policy", "permissions-policy"):
        assert answer.header(name)


def test_the_policy_over_https(browser: Browser, folder: Path) -> None:
    settings = replace(browser.settings, app_origin="https://app.example", id_origin="https://id.example")
    answer = call(build(settings, browser.ports), "GET", "/", headers=TYPED)
    assert (answer.header("content-security-policy") or "").endswith("; report-to csp")
    assert answer.header("reporting-endpoints") == 'csp="https://app.example/bff/csp-report"'
    assert answer.header("strict-transport-security")


def test_the_config_may_add_hosts_and_nothing_that_undoes_the_policy() -> None:
    added = policy_for("", replace(SETTINGS, csp={"style-src": ("https://fonts.example",)}))
    assert added.sources("style-src") == ("'self'", "https://fonts.example")
    for source in ("'unsafe-inline'", "*", "https:"):
        with pytest.raises(ValueError, match="undoes"):
            policy_for("", replace(SETTINGS, csp={"script-src": (source,)}))


def test_a_page_in_another_encoding_goes_out_byte_for_byte(folder: Path) -> None:
    (folder / "index.html").write_bytes(b"<p>\xe4</p><script>'\xe4'</script>")
    with Browser(spa=folder) as browser:
        answer = page(browser)
        assert b"\xe4" in answer.body
        assert b64encode(sha256(b"'\xe4'").digest()).decode() in (answer.header("content-security-policy") or "")


def test_a_missing_folder_is_404_and_no_folder_leaves_the_bff(tmp_path: Path) -> None:
    for at in (tmp_path / "nothing", None):
        with Browser(spa=at) as browser:
            assert page(browser).status == 404
            assert browser.session()["signed_in"] is False


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_cannot_be_read_is_left_out(folder: Path) -> None:
    (folder / "lib" / "b.js").chmod(0)
    assert "lib/b.js" not in spa.scan(folder, SETTINGS).files


def test_large_files_stay_on_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spa, "_IN_MEMORY", 40)
    with Browser(spa=folder) as browser:
        client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=browser.app), base_url=APP)
        answer = browser.auth.loop.run_until_complete(client.get("/app.js", headers={"range": "bytes=7-11"}))
        assert (answer.status_code, answer.text) == (206, APP_JS[7:12])
        whole = browser.auth.loop.run_until_complete(client.get("/app.js"))
        assert whole.text == APP_JS
        assert whole.headers["etag"] == spa.scan(folder, SETTINGS).files["app.js"].etag


def test_snapshots_is_served_whole() -> None:
    """Every module and file that the demo's page names is there, under the version or at the BFF."""
    with Browser(spa=Path(demo.__file__).parent / "spa") as browser:
        at = prefix(browser)
        seen, waiting = set[str](), [at + "app.js"]
        while waiting:
            address = waiting.pop()
            answer = browser.call("GET", address, SCRIPT)
            assert answer.status == 200, address
            assert (answer.header("content-type") or "").startswith("text/javascript")
            seen.add(address)
            for name in re.findall(r"from '([^']+)'", answer.text):
                target = name if name.startswith("/") else str(Path(address).parent / name)
                waiting += [] if target in seen else [target]
        assert {"/bff/client.js", at + "session.js", at + "photos.js"} <= seen
        for name in re.findall(r'(?:href|src)="(/-/[^"]+)"', page(browser).text):
            assert browser.call("GET", name).header("cache-control") == "public, max-age=31536000, immutable"
        style = browser.call("GET", at + "look/look.css").text
        for font in re.findall(r'url\("?([^")]+)"?\)', style):
            assert browser.call("GET", at + "look/" + font).status == 200, font
