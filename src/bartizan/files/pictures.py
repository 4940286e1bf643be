"""ASVS 5.2.6: images are measured before they are decoded, decoded before they are believed. Runs in a thread."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

from msgspec import Struct
from PIL import Image, ImageOps

_FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF", "image/webp": "WEBP"}
THUMB_TYPE = "image/webp"


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
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own, lower limit stands below
            image = Image.open(source, formats=(_FORMATS[media_type],))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as bad:
        raise NotAPicture(type(bad).__name__) from None
    frames = getattr(image, "n_frames", 1)
    if image.width * image.height * frames > max_pixels:
        image.close()
        raise NotAPicture(f"{image.width} × {image.height} pixels, {frames} frames")
    return image


def _decode(image: Image.Image) -> None:
    try:
        image.load()
    except Exception as bad:  # decoders raise whatever comes to them on damaged input
        raise NotAPicture(type(bad).__name__) from None


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
