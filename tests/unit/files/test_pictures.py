"""Pictures: bombs and damage are refused, thumbnails stand upright and say nothing of where they were taken."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import pytest
from PIL import Image

from bartizan.files import pictures
from bartizan.files.pictures import NotAPicture

MOST = 1_000_000


def jpeg(size: tuple[int, int] = (300, 200), **more: object) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(out, "JPEG", **more)
    return out.getvalue()


def saved(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")


def png_bomb(side: int) -> bytes:
    """Some kilobytes that unroll to side × side pixels."""
    header = side.to_bytes(4, "big") * 2 + b"\x08\x02\x00\x00\x00"
    line = b"\x00" * (1 + 3 * side)
    body = zlib.compress(line * min(side, 50), 9)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b"")


def test_a_real_picture_is_measured(tmp_path: Path) -> None:
    found = pictures.verify(saved(tmp_path / "a", jpeg()), "image/jpeg", MOST)
    assert (found.width, found.height) == (300, 200)


@pytest.mark.parametrize("side", [1001, 20_000, 200_000])
def test_pixel_bombs_are_refused_before_they_unroll(tmp_path: Path, side: int) -> None:
    with pytest.raises(NotAPicture):
        pictures.verify(saved(tmp_path / "a", png_bomb(side)), "image/png", MOST)


def test_frames_count(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (400, 400), (20 * number, 0, 0)) for number in range(1, 12)]
    path = tmp_path / "a.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with pytest.raises(NotAPicture):
        pictures.verify(path, "image/gif", MOST)


@pytest.mark.parametrize("cut", [10, 100, 400])
def test_damaged_pictures_are_refused(tmp_path: Path, cut: int) -> None:
    with pytest.raises(NotAPicture):
        pictures.verify(saved(tmp_path / "a", jpeg((600, 600))[:cut]), "image/jpeg", MOST)


def test_a_picture_of_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotAPicture):
        pictures.verify(saved(tmp_path / "a", jpeg()), "image/png", MOST)


def test_a_thumbnail_stands_upright_and_has_no_place_in_it() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x010F] = "Camera Maker"
    exif.get_ifd(0x8825)[1] = "N"
    small = pictures.thumbnail(io.BytesIO(jpeg((900, 600), exif=exif)), "image/jpeg", 480, MOST)
    with Image.open(io.BytesIO(small)) as image:
        assert image.format == "WEBP"
        assert image.size == (320, 480)
        assert not image.getexif()
    assert b"Camera" not in small


def test_transparency_stays() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (50, 50), (0, 0, 0, 0)).save(out, "PNG")
    with Image.open(io.BytesIO(pictures.thumbnail(io.BytesIO(out.getvalue()), "image/png", 480, MOST))) as image:
        assert image.mode == "RGBA"
