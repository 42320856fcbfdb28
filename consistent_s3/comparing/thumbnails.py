"""A picture made small, so that a list of versions does not send each of them whole.

Whatever a file's author put into it, nothing is raised, and no picture of more than `PIXELS` is unpacked.
"""

from __future__ import annotations

import io

from consistent_s3.comparing.documents import picture_type

SIDE = 128
"""Pixels of a thumbnail's longer side: twice what is shown, for sharp screens."""
PIXELS = 50_000_000
"""Pixels of a picture that is unpacked at most: about 200 MB."""


def thumbnail(data: bytes) -> bytes | None:
    """Return a picture as a small PNG; `None` without Pillow, and for what is too large or no picture."""
    try:
        from PIL import Image, ImageOps  # noqa: PLC0415 - an extra
    except ImportError:
        return None
    form = picture_type(data).removeprefix("image/").upper()
    try:
        with Image.open(io.BytesIO(data), formats=[form]) as picture:
            if picture.width * picture.height > PIXELS:
                return None
            picture.draft("RGB", (SIDE, SIDE))  # a JPEG can be unpacked small
            small = ImageOps.exif_transpose(picture).convert("RGBA")
            small.thumbnail((SIDE, SIDE))
            written = io.BytesIO()
            small.save(written, "PNG")
            return written.getvalue()
    except Exception:  # noqa: BLE001 - a decoder raises anything at bytes that somebody made up
        return None
