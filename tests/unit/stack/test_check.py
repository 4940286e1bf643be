"""What a well-formed file may not say (design §4, §7)."""

from __future__ import annotations

import pytest

from bartizan.stack.check import check, local_only, warnings
from bartizan.stack.config import Lines, parse
from bartizan.stack.schema import Config

REAL = """
[site]
app = "https://app.example.com"
id = "https://id.example.com"
files = "https://files.example.com"
[gateway.tls]
mode = "files"
certificate = "c.pem"
key = "k.pem"
[worker.mail]
host = "mail.example.com"
sender = "Example <no-reply@example.com>"
"""
ROUTE = '[[route]]\npath = "/"\nto = "http://127.0.0.1:5000"\n'
SERVER = '[[auth.client]]\nid = "a"\nkind = "server"\nredirect_uris = ["https://a.example/cb"]\n'


def keys(text: str) -> dict[str, str]:
    return {fault.key: fault.says for fault in check(parse(text), Lines(text))}


def test_defaults_and_a_real_file_have_no_faults() -> None:
    assert check(Config()) == ()
    assert keys(REAL) == {}
    assert local_only(Config())
    assert not local_only(parse(REAL))


ROWS = [
    ('[site]\nid = "http://app.localhost:8080"', "site.id", "an origin of its own"),
    ('[site]\nfiles = "http://app.localhost:8080"', "site.files", "an origin of its own"),
    ('[site]\napp = "http://app.example.com"', "site.app", "not encrypted"),
    ('[site]\napp = "https://App.example.com/"', "site.app", "no origin"),
    ('[site]\napp = "*"', "site.app", "no origin"),
    ('[site]\ntrusted_proxies = ["10.0.0.0/33"]', "site.trusted_proxies[0]", "no address"),
    ('[auth]\naccess_token_lifetime = "2h"', "auth.access_token_lifetime", "between 1m and 1h"),
    ('[auth]\nrefresh_idle = "100d"', "auth.refresh_idle", "longer than"),
    ('[auth.scopes]\n"openid" = { can = "x" }', "auth.scopes.openid", "built in"),
    ('[auth.scopes]\n"a b" = { can = "x" }', "auth.scopes.a b", "no scope"),
    (SERVER, "auth.client[0].secret", "is missing"),
    (SERVER + 'secret = { env = "A" }\n' + SERVER, "auth.client[1].id", "twice"),
    (SERVER + 'scopes = ["nope"]', "auth.client[0].scopes[0]", "no scope"),
    (SERVER + 'grants = ["implicit"]', "auth.client[0].grants[0]", "none of"),
    (SERVER + 'auth_method = "none"', "auth.client[0].auth_method", "proves itself"),
    (SERVER.replace("https://a", "http://a"), "auth.client[0].redirect_uris[0]", "not encrypted"),
    (SERVER.replace("https://a", "https://*"), "auth.client[0].redirect_uris[0]", "wildcard"),
    (SERVER.replace("https://a", "javascript:a"), "auth.client[0].redirect_uris[0]", "use https"),
    (SERVER.replace("/cb", "/cb#top"), "auth.client[0].redirect_uris[0]", "fragment"),
    (SERVER.replace("/cb", "/cb?code=1"), "auth.client[0].redirect_uris[0]", "answer will carry"),
    (SERVER.replace("//a", "//me@a"), "auth.client[0].redirect_uris[0]", "user information"),
    (SERVER.replace("https://a", "HTTPS://a"), "auth.client[0].redirect_uris[0]", "lower case"),
    (SERVER + 'origins = ["*"]', "auth.client[0].origins[0]", "wildcard"),
    ('[[auth.client]]\nid = "n"\nkind = "native"\nsecret = { env = "A" }', "auth.client[0].secret", "cannot keep one"),
    ('[gateway.tls]\nmode = "files"', "gateway.tls.certificate", "is missing"),
    ("[gateway]\nport = 0", "gateway.port", "between"),
    (REAL.replace('mode = "files"', 'mode = "off"'), "gateway.tls.mode", '"off"'),
    (REAL.replace('mode = "files"', 'mode = "local"'), "gateway.tls.mode", "nobody else"),
    (ROUTE + 'csrf = "form"', "route[0].csrf", "name it"),
    (ROUTE + 'cors = ["*"]', "route[0].cors[0]", "wildcard"),
    (ROUTE + 'limit = "many"', "route[0].limit", "no limit"),
    (ROUTE + 'require = "nope"', "route[0].require", "no scope"),
    (ROUTE + 'public = true\nrequire = "openid"', "route[0].public", "contradicts"),
    (ROUTE + 'spa = "./dist"', "route[0]", "either"),
    (ROUTE + ROUTE, "route[1].path", "already"),
    (ROUTE.replace('"/"', '"/bff/x"'), "route[0].path", "own"),
    (ROUTE.replace('"/"', '"/files/"'), "route[0].path", "own"),
    (ROUTE.replace('"/"', '"api"'), "route[0].path", "no path"),
    (ROUTE.replace("http://127.0.0.1:5000", "127.0.0.1:5000"), "route[0].to", "no server"),
    (ROUTE + "csp = { script-src = [\"'unsafe-inline'\"] }", "route[0].csp.script-src", "any script"),
    (REAL + '[[route]]\npath = "/"\nspa = "http://localhost:5173"', "route[0].spa", "development server"),
    ('[[host]]\nhost = "http://id.localhost:8080"\nto = "unix:/a"', "host[0].host", "already"),
    ('[database]\nurl = "postgresql://a:hush@db/x"', "database.url", "password"),
    ('[cache]\nmemory = "1MB"', "cache.memory", "too small"),
    ('[cache]\nurl = "http://h:6379"', "cache.url", "not understood"),
    ('[files]\nmax_size = "1GB"', "files.max_size", "larger"),
    ('[files]\nstore = "s3://bucket"', "files.store", "directory"),
    ("[worker]\nconcurrency = 1", "worker.concurrency", "2 or more"),
    (REAL.replace('host = "mail.example.com"\n', ""), "worker.mail.host", "dev inbox"),
    ('[worker.mail]\nhost = "m"\nuser = "u"\nsender = "a@b"', "worker.mail.password", "is missing"),
    ("[auth]\nworkers = 0", "auth.workers", "between 1 and 64"),
    ("[auth]\nworkers = 6", "auth.workers", "database.url"),
]


@pytest.mark.parametrize(("text", "key", "part"), ROWS)
def test_each_fault_names_its_key_and_its_cure(text: str, key: str, part: str) -> None:
    found = keys(text)
    assert key in found, found
    assert part in found[key]


def test_localhost_http_is_allowed_and_form_with_a_guard_too() -> None:
    assert keys(ROUTE + 'csrf = "form"\nguard = "flask"') == {}


def test_a_proxy_that_ends_tls_is_named_not_guessed() -> None:
    assert (
        keys(REAL.replace('mode = "files"', 'mode = "off"').replace("[site]", '[site]\ntrusted_proxies = ["10.0.0.1"]'))
        == {}
    )


def test_weaker_choices_are_said() -> None:
    said = {w.key for w in warnings(parse(ROUTE.replace("127.0.0.1", "10.0.0.5") + 'csrf = "origin"'))}
    assert said == {"route[0].to", "route[0].csrf"}
