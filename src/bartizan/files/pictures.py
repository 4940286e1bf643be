"""ASVS 5.2.6: images are measured before they are decoded, decoded before they are believed. Runs in a thread.

The original stays byte for byte as it came, with what the camera wrote into it (the place too): its owner opens it, and
apps that they gave the read scope. A thumbnail has nothing of that.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

from msgspec import Struct
from PIL import Image, ImageOps

_FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF", "image/webp": "WEBP"}
# A frame costs a Python loop however small it is: a file of a million empty ones would hold up all others.
_MOST_FRAMES = 2000


class NotAPicture(Exception):  # noqa: N818 - an answer
    """Damaged, another format than it says, or too large to decode. `reason` is for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Measured(Struct, frozen=True):
    width: int
    height: int


def verify(source: Path, media_type: str, max_pixels: int) -> Measured:
    """Raises NotAPicture unless the whole first frame decodes. Frames count: a short file may unroll to thousands."""
    with _opened(source, media_type, max_pixels) as image:
        measured = Measured(image.width, image.height)
        image.draft("RGB", (image.width // 8, image.height // 8))  # a JPEG is read whole, but takes little memory
        _decode(image)
        return measured


def thumbnail(source: io.BytesIO, media_type: str, longest: int, max_pixels: int) -> bytes:
    """A small WebP, turned as the camera held it, and without anything that the file said about place and maker."""
    with _opened(source, media_type, max_pixels) as image:
        image.draft("RGB", (longest * 2, longest * 2))  # JPEG decodes smaller from the start
        _decode(image)
        upright = ImageOps.exif_transpose(image)
        upright.thumbnail((longest, longest))
        plain = upright.convert("RGBA" if _has_alpha(upright) else "RGB")
        out = io.BytesIO()
        plain.save(out, "WEBP", quality=82, method=4, exif=b"", xmp=b"", icc_profile=b"")
        return out.getvalue()


def _opened(source: Path | io.BytesIO, media_type: str, max_pixels: int) -> Image.Image:
    # Pillow itself refuses at twice this, and before the WebP decoder takes memory for its canvas.
    Image.MAX_IMAGE_PIXELS = max_pixels
    try:
        image = Image.open(source, formats=(_FORMATS[media_type],))
    except Exception as bad:  # as below
        raise NotAPicture(type(bad).__name__) from None
    frames = _frames(image, max_pixels)
    if image.width * image.height * frames > max_pixels or frames > _MOST_FRAMES:
        image.close()
        raise NotAPicture(f"{image.width} × {image.height} pixels, {frames} frames")
    return image


def _frames(image: Image.Image, max_pixels: int) -> int:
    """As the header says; a GIF has none that says it, so its frames are counted, up to the limits."""
    if image.format != "GIF":
        return int(getattr(image, "n_frames", 1))
    most = min(_MOST_FRAMES, max_pixels // (image.width * image.height or 1))
    count = 1
    with contextlib.suppress(EOFError):
        while count <= most:
            _seek(image, count)
            count += 1
    _seek(image, 0)
    return count


def _seek(image: Image.Image, frame: int) -> None:
    try:
        image.seek(frame)
    except EOFError:
        raise
    except Exception as bad:  # as below
        raise NotAPicture(type(bad).__name__) from None


def _decode(image: Image.Image) -> None:
    try:
        image.load()
    except Exception as bad:  # decoders raise whatever comes to them on damaged input
        raise NotAPicture(type(bad).__name__) from None


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
