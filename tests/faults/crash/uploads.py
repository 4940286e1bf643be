"""An upload as the app's script sends it, for what doubles and cuts it. Whose crash it is, is not tested here (X20)."""

from __future__ import annotations

from tests.faults import steps
from tests.faults.crash.bench import Bench
from tests.faults.crash.wire import HOSTS, Sent
from tests.faults.steps import Person
from tests.fixtures.nodes import BACK, Site

# Beside the file of `nodes.py`: a client that may store.
_MORE = """
[[auth.client]]
id = "drawer"
kind = "server"
secret = {{ file = "{secret}" }}
redirect_uris = ["{back}"]
scopes = ["openid", "files.read", "files.write"]
first_party = true
"""


def more(site: Site) -> str:
    return _MORE.format(secret=site.data / "client-secret", back=BACK)


CONTENT = b"".join(b"line %d of a text that somebody keeps\n" % number for number in range(2000))
FILES = "SELECT count(*) FROM files WHERE owner = $1"
USED = "SELECT coalesce((SELECT used FROM file_usage WHERE owner = $1), 0)"


def upload(bench: Bench, person: Person, content: bytes = CONTENT) -> Sent:
    given = {"session_id": person.session.id, "scopes": ("openid", "files.read", "files.write")}
    _, token = steps.family(bench.site, person, "drawer", **given)
    got = steps.refreshed(bench.node, token, "drawer")
    assert got.status == 200, got
    headers = {
        "authorization": f"Bearer {got.json()['access_token']}",
        "content-type": "text/plain",
        "x-file-name": "kept.txt",
        "host": HOSTS["files"].partition("://")[2],
    }
    return Sent("POST", "/files", headers, content, "files")


def assert_as_listed(bench: Bench, person: Person, number: int) -> None:
    """Rows, quota and objects agree, and no half upload lies about."""
    assert bench.count(FILES, person.user.id) == number, "I5"
    assert bench.count(USED, person.user.id) == number * len(CONTENT), "I5: the quota counts another number"
    ids = steps.rows(bench.site, "SELECT id FROM files WHERE owner = $1", person.user.id)
    places = [*bench.site.data.glob("files/objects/original/*/*")]
    stored = {path.name: path for path in places}
    for row in ids:
        assert stored[row["id"].hex].read_bytes() == CONTENT, "I1: an acknowledged file is not whole"


def half_uploads(bench: Bench) -> list[str]:
    return [path.name for path in bench.site.data.glob("files/half/*")]


def sweep(bench: Bench) -> None:
    """What a mutant left: the directory is everybody's."""
    for name in half_uploads(bench):
        (bench.site.data / "files" / "half" / name).unlink()
