"""Row "files" of the first release (flows §10, ASVS V5): whose a file is, what is taken, and when a link dies."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from PIL import Image
from tests.engine.files.drawer import APP, FILES, Drawer, Person, picture

from bartizan.database.purge import prune

pytestmark = pytest.mark.engine

PNG = picture()
PDF = b"%PDF-1.4\n1 0 obj<</OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj\n%%EOF"


@pytest.fixture
def drawer(database_url: str, tmp_path: Path) -> Iterator[Drawer]:
    with Drawer(database_url, tmp_path / "files") as made:
        yield made


@pytest.fixture
def ada(drawer: Drawer) -> Person:
    return drawer.person()


def test_what_was_uploaded_is_listed_linked_served_and_deleted(drawer: Drawer, ada: Person) -> None:
    file = drawer.uploaded(ada, PNG, name="gr%C3%BC%C3%9Fe.png")
    assert (file["name"], file["media_type"]) == ("grüße.png", "image/png")
    assert f"{file['width']} × {file['height']}" == "900 × 600"
    assert file["thumbnail_url"] is None
    drawer.draw(file["id"])
    (listed,) = drawer.call("GET", "/files", ada).json["files"]
    assert listed["url"] == file["url"], "links of one hour are the same, so that caches hit"
    served = drawer.call("GET", listed["url"])
    assert (served.status, served.body) == (200, PNG)
    small = drawer.call("GET", listed["thumbnail_url"])
    with Image.open(io.BytesIO(small.body)) as image:
        assert (image.format, image.size) == ("WEBP", (480, 320))
    linked = drawer.call("GET", f"/files/{file['id']}/link?variant=thumb", ada)
    assert linked.json["url"] == listed["thumbnail_url"]
    assert drawer.used(ada) == len(PNG)
    assert drawer.call("DELETE", f"/files/{file['id']}", ada).status == 204
    for url in (listed["url"], listed["thumbnail_url"]):
        assert drawer.call("GET", url).status == 404, "dead at once"
        assert drawer.call("GET", url, headers={"Range": "bytes=0-1"}).status == 404
        assert drawer.call("GET", url, headers={"If-None-Match": served.header("etag") or ""}).status == 404
    assert drawer.call("DELETE", f"/files/{file['id']}", ada).status == 404
    assert (drawer.used(ada), drawer.on_disk()) == (0, [])


def test_answers_of_the_files_origin_carry_the_headers_of_flows_10(drawer: Drawer, ada: Person) -> None:
    file = drawer.uploaded(ada, PDF, "application/pdf", "a%22b%0d%0aX-Evil:1.pdf")
    answer = drawer.call("GET", file["url"], headers={"Origin": APP})
    assert file["url"].startswith(f"{FILES}/f/")
    assert answer.header("cross-origin-resource-policy") == "cross-origin"
    assert answer.header("access-control-allow-origin") == APP
    assert answer.header("access-control-allow-credentials") is None
    assert answer.header("access-control-expose-headers") == "Content-Range, Content-Disposition"
    assert (answer.header("cache-control") or "").startswith("private")
    assert answer.header("x-content-type-options") == "nosniff"
    assert answer.header("content-security-policy") == "sandbox; default-src 'none'"
    assert (answer.header("content-disposition") or "").startswith("attachment; ")
    assert answer.header("x-evil") is None
    assert answer.header("set-cookie") is None
    beyond = drawer.call("GET", file["url"], headers={"Range": "bytes=999999-"})
    same = ("cross-origin-resource-policy", "access-control-allow-origin", "cache-control", "content-security-policy")
    assert [beyond.header(name) for name in same] == [answer.header(name) for name in same]
    head = drawer.call("HEAD", file["url"])
    assert (head.status, head.body, head.header("content-length")) == (200, b"", str(len(PDF)))


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [
        ("bytes=0-3", 206, PDF[:4]),
        ("bytes=5-", 206, PDF[5:]),
        ("bytes=-4", 206, PDF[-4:]),
        ("bytes=0-999999", 206, PDF),
        (f"bytes={len(PDF)}-", 416, b""),
        ("bytes=-0", 416, b""),
        ("bytes=0-1,3-4", 200, PDF),
        ("pages=1", 200, PDF),
    ],
)
def test_one_range_is_served(drawer: Drawer, ada: Person, asked: str, status: int, body: bytes) -> None:
    file = drawer.uploaded(ada, PDF, "application/pdf", "a.pdf")
    answer = drawer.call("GET", file["url"], headers={"Range": asked})
    assert (answer.status, answer.body) == (status, body)
    if status == 416:
        assert answer.header("content-range") == f"bytes */{len(PDF)}"
    other = drawer.call("GET", file["url"], headers={"Range": asked, "If-Range": '"another"'})
    assert (other.status, other.body) == (200, PDF)
    etag = answer.header("etag") or ""
    assert drawer.call("GET", file["url"], headers={"Range": asked, "If-Range": etag}).status == status
    assert drawer.call("GET", file["url"], headers={"Range": asked, "If-None-Match": etag}).status == 304


def test_a_file_is_nobody_elses(drawer: Drawer, ada: Person) -> None:
    eve, file = drawer.person(), drawer.uploaded(ada, PNG)
    assert drawer.call("GET", "/files", eve).json["files"] == []
    for method, path in (("GET", f"/files/{file['id']}/link"), ("DELETE", f"/files/{file['id']}")):
        mine, unknown = drawer.call(method, path, eve), drawer.call(method, path.replace(file["id"], str(uuid4())), eve)
        assert mine.status == unknown.status == 404
        assert mine.body == unknown.body, "it does not say whether there is one"
    forged = file["url"].replace(ada.user.hex, eve.user.hex).replace(ada.gid.hex, eve.gid.hex)
    assert forged != file["url"]
    assert drawer.call("GET", forged).status == 404
    assert drawer.call("GET", file["url"]).status == 200


def test_a_link_dies_with_what_gave_it_and_does_not_come_back(empty_database_url: str, tmp_path: Path) -> None:
    with Drawer(empty_database_url, tmp_path / "files") as drawer:
        ada = drawer.person()
        file = drawer.uploaded(ada, PNG)
        drawer.within(lambda records: records.families.end(ada.gid, "user.signed_out"))
        assert drawer.call("GET", file["url"]).status == 404
        assert str(ada.gid) in drawer.within(lambda records: records.ended.after(0)).gids
        # The list of the ended forgets a gid long before a link is over.
        drawer.loop.run_until_complete(prune(drawer.store, drawer.clock() + timedelta(hours=1)))
        assert str(ada.gid) not in drawer.within(lambda records: records.ended.after(0)).gids
        assert drawer.call("GET", file["url"]).status == 404


@pytest.mark.parametrize("query", ["variant=huge", "variant=original&variant=thumb", "x=1"])
def test_a_link_is_asked_for_by_one_known_variant(drawer: Drawer, ada: Person, query: str) -> None:
    file = drawer.uploaded(ada, PNG)
    assert drawer.call("GET", f"/files/{file['id']}/link?{query}", ada).status == 400
    assert drawer.call("GET", f"/files/{file['id']}/link?variant=original", ada).json["url"] == file["url"]


def test_a_picture_is_shown_under_its_own_name(drawer: Drawer, ada: Person) -> None:
    file = drawer.uploaded(ada, PNG, name="gr%C3%BC%C3%9Fe.png")
    shown = drawer.call("GET", file["url"]).header("content-disposition")
    assert shown == "inline; filename=\"gr__e.png\"; filename*=UTF-8''gr%C3%BC%C3%9Fe.png"


def test_a_link_ends_with_its_time(drawer: Drawer, ada: Person) -> None:
    file = drawer.uploaded(ada, PNG)
    drawer.late = 3600 - 60
    assert drawer.call("GET", file["url"]).status == 200
    drawer.late = 2 * 3600
    assert drawer.call("GET", file["url"]).status == 404


def test_tokens_are_checked_as_by_any_resource_server(drawer: Drawer, ada: Person) -> None:
    drawer.uploaded(ada, PNG)
    assert drawer.call("GET", "/files").status == 401
    reader = drawer.headers(ada, "files.read")
    assert drawer.call("POST", "/files", headers=reader, body=PNG).status == 403
    assert drawer.call("GET", "/files", headers=drawer.headers(ada, "files.write")).status == 403
    refused = drawer.call("POST", "/files", headers=reader, body=PNG)
    assert 'error="insufficient_scope"' in (refused.header("www-authenticate") or "")
    whole = drawer.headers(ada)
    without = {name: value for name, value in whole.items() if name != "X-CSRF-Token"}
    assert drawer.call("POST", "/files", headers=without, body=PNG).status == 403
    for forged in ({"X-CSRF-Token": "wrong"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "cross-site"}):
        assert drawer.call("POST", "/files", headers={**whole, **forged}, body=PNG).status == 403, forged
    drawer.issuer.end(str(ada.gid))
    assert drawer.call("GET", "/files", ada).status == 401
    drawer.issuer.away = True
    assert drawer.call("GET", "/files", drawer.person()).status == 503
    assert drawer.used(ada) == len(PNG)


def test_a_token_that_is_nobodys_has_no_files(drawer: Drawer) -> None:
    agent = drawer.issuer.bearer("nightly-agent", scopes=("files.read",))
    assert drawer.call("GET", "/files", headers=agent).status == 403


def bomb() -> bytes:
    """A PNG of some bytes that claims 30000 × 30000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def many_frames() -> bytes:
    frame = b"\x2c" + struct.pack("<HHHH", 0, 0, 1, 1) + b"\0\x02\x02\x44\x01\0"
    return b"GIF89a" + struct.pack("<HH", 1, 1) + b"\x80\0\0\0\0\0\xff\xff\xff" + frame * 5000 + b";"


def webp_bomb() -> bytes:
    wide = (16_383 - 1).to_bytes(3, "little")
    extended = b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + wide + wide
    return b"RIFF" + struct.pack("<I", len(extended) + 4) + b"WEBP" + extended


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../zeros", bytes(5_000_000))
    return out.getvalue()


REFUSED = {
    "nothing": (b"", "image/png", "a.png", 400),
    "html": (b"<!doctype html><script>alert(1)</script>", "text/html", "a.html", 415),
    "html as text": (b"<html><script>alert(1)</script>", "text/plain", "a.txt", 415),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>', "image/svg+xml", "a.svg", 415),
    "svg as png": (b"<svg><script>1</script></svg>", "image/png", "a.png", 415),
    "html as jpeg": (b"<!doctype html><script>1</script>", "image/jpeg", "a.jpg", 415),
    "png as jpeg": (PNG, "image/jpeg", "a.jpg", 415),
    "png called html": (PNG, "image/png", "a.html", 415),
    "text called javascript": (b"alert(1)", "text/plain", "a.js", 415),
    "program": (b"MZ\x90\x00" + bytes(100), "application/octet-stream", "a.exe", 415),
    "zip bomb": (zipped(), "application/zip", "a.zip", 415),
    "zip bomb as png": (zipped(), "image/png", "a.png", 415),
    "pixel bomb": (bomb(), "image/png", "a.png", 422),
    "webp bomb": (webp_bomb(), "image/webp", "a.webp", 422),
    "frames bomb": (many_frames(), "image/gif", "a.gif", 422),
    "half a picture": (picture("JPEG")[:900], "image/jpeg", "a.jpg", 422),
    "gif of script": (b"GIF89a=1;/*" + bytes(20) + b"*/alert(1)", "image/gif", "a.gif", 422),
    "binary after text": (b"a" * 40_000 + b"\0\1", "text/plain", "a.txt", 415),
    "name not utf-8": (PNG, "image/png", "%ff.png", 400),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_taken_leaves_nothing(drawer: Drawer, ada: Person, case: str) -> None:
    body, kind, name, status = REFUSED[case]
    answer = drawer.upload(ada, body, kind, name)
    assert answer.status == status, answer.text
    assert "error" in answer.json
    assert (drawer.used(ada), drawer.on_disk()) == (0, [])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
def test_pictures_are_taken_under_any_claim_that_fits(drawer: Drawer, ada: Person, kind: str) -> None:
    for claim in (f"image/{kind.lower()}", "application/octet-stream"):
        file = drawer.uploaded(ada, picture(kind), claim, "holiday")
        assert file["media_type"] == f"image/{kind.lower()}"
        drawer.draw(file["id"])


@pytest.mark.parametrize("name", ["../../etc/passwd", "..%2F..%2Fetc%2Fpasswd", "%2e%2e%5c..%5cpasswd", "/etc/passwd"])
def test_a_name_is_never_a_path(drawer: Drawer, ada: Person, name: str) -> None:
    file = drawer.uploaded(ada, b"hello", "text/plain", name)
    assert file["name"] == "passwd"
    (stored,) = drawer.on_disk()
    assert stored.name == file["id"].replace("-", "")
    assert 'filename="passwd.txt"' in (drawer.call("GET", file["url"]).header("content-disposition") or "")


def test_size_is_counted_while_it_comes(drawer: Drawer, database_url: str, tmp_path: Path) -> None:
    with Drawer(database_url, tmp_path / "small", max_bytes=1000) as small:
        ada = small.person()
        pieces = (b"a" * 300 for _ in range(4))
        headers = {"Content-Type": "text/plain", "X-File-Name": "a.txt"}
        assert small.call("POST", "/files", ada, headers=headers, body=pieces).status == 413
        announced = {**headers, "Content-Length": "1001"}
        assert small.call("POST", "/files", ada, headers=announced, body=b"a").status == 413
        assert small.upload(ada, b"a" * 1000, "text/plain", "a.txt").status == 201
        assert len(small.on_disk()) == 1


def test_a_quota_holds_when_all_come_at_once(database_url: str, tmp_path: Path) -> None:
    with Drawer(database_url, tmp_path / "small", quota_bytes=2500) as small:
        ada = small.person()
        assert small.all_at_once(ada, b"a" * 1000, 6) == [201, 201, 507, 507, 507, 507]
        assert (small.used(ada), len(small.on_disk())) == (2000, 2)
        assert small.upload(ada, b"a" * 501, "text/plain", "a.txt").status == 507


def test_a_connection_cut_at_any_chunk_leaves_nothing(drawer: Drawer, ada: Person) -> None:
    noise = picture("PNG", (64, 64)) + bytes(700_000)
    pieces = [noise[at : at + 100_000] for at in range(0, len(noise), 100_000)]
    for count in range(len(pieces) + 1):
        assert drawer.cut(ada, pieces[:count]) == [], "nobody is left to tell"
        assert (drawer.used(ada), drawer.on_disk()) == (0, []), count


def test_a_thumbnail_stands_upright_and_tells_nothing(drawer: Drawer, ada: Person) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side
    exif[0x010F] = "Camera of Ada"
    exif.get_ifd(0x8825)[1] = "N"  # where it was taken
    file = drawer.uploaded(ada, picture("JPEG", exif=exif), "image/jpeg", "a.jpg")
    drawer.draw(file["id"])
    url = str(drawer.call("GET", f"/files/{file['id']}/link?variant=thumb", ada).json["url"])
    small = drawer.call("GET", url)
    assert small.header("content-type") == "image/webp"
    with Image.open(io.BytesIO(small.body)) as image:
        assert image.size == (320, 480)
        assert not dict(image.getexif())
    assert b"Ada" not in small.body


def test_objects_without_a_row_are_swept_when_they_are_old(drawer: Drawer, ada: Person) -> None:
    file, gone = drawer.uploaded(ada, PNG), drawer.uploaded(ada, PDF, "application/pdf", "a.pdf")
    kept = drawer.on_disk()
    drawer.within(lambda records: records.files.delete(UUID(gone["id"]), ada.user))
    half = drawer.folder / "half" / "0123"
    half.write_bytes(b"left by a kill")
    assert drawer.sweep() == 0, "an upload may be under way"
    for path in (*kept, half):
        os.utime(path, (1, 1))
    assert drawer.sweep() == 1
    assert [path.name for path in drawer.on_disk()] == [file["id"].replace("-", "")]


def test_lists_come_in_pages(drawer: Drawer, ada: Person) -> None:
    ids = [drawer.uploaded(ada, f"text {n}".encode(), "text/plain", "a.txt")["id"] for n in range(5)][::-1]
    seen: list[str] = []
    target = "/files?limit=2"
    for _ in range(3):
        page = drawer.call("GET", target, ada).json
        seen += [file["id"] for file in page["files"]]  # type: ignore[attr-defined]  # JSON
        target = f"/files?limit=2&before={page['next']}"
    assert (sorted(seen), page["next"]) == (sorted(ids), None)
