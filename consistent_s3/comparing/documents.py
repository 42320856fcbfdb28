"""What can be said of pictures, PDF and office files, and of any other bytes?

1. What a file is, is decided by its first bytes, never by its name or the type that somebody gave it.
2. Of an archive only so much is unpacked; a PDF is read by a process of its own, which is bounded.
3. Whatever a file's author put into it, nothing is raised: of what cannot be read nothing is said.
"""

from __future__ import annotations

import io

from consistent_s3.comparing.office import look_into_office
from consistent_s3.comparing.pdf import Document, look_into_pdf

TEXT = 1024**2
"""Characters of a document's text that are taken."""
FACT = 200
"""Characters of what a document says of itself that are shown."""
RASTER = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp"})
"""Pictures that a browser shows without running anything in them: never SVG."""
_BMP_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})
"""Lengths of the header that follows a bitmap's first one."""


def picture_type(head: bytes) -> str:
    """Return which of `RASTER` some bytes begin as; empty if they begin as none."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    # Two letters are not enough: a text may begin with them.
    if head.startswith(b"BM") and head[6:10] == bytes(4) and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "image/bmp"
    return ""


def picture_size(data: bytes) -> tuple[int, int] | None:
    """Return the width and height of a picture in pixels, if Pillow is installed and can tell. Nothing is unpacked."""
    try:
        from PIL import Image  # noqa: PLC0415 - an extra
    except ImportError:
        return None
    form = picture_type(data).removeprefix("image/").upper()
    try:
        with Image.open(io.BytesIO(data), formats=[form]) as picture:
            width, height = picture.size
            return width, height
    except Exception:  # noqa: BLE001 - a decoder raises anything at bytes that somebody made up
        return None


def is_document(head: bytes) -> bool:
    """Return whether some bytes begin as a PDF, or as an archive, which office files are."""
    return head.startswith((b"%PDF-", b"PK\x03\x04"))


def look_into(data: bytes) -> Document:
    """Return what a document says of itself, and its text; of anything else nothing."""
    found = Document()
    try:
        if data.startswith(b"%PDF-"):
            found = look_into_pdf(data, TEXT)
        elif is_document(data):
            found = look_into_office(data, TEXT)
    except Exception:  # noqa: BLE001, S110 - parsers raise anything at bytes that somebody made up
        pass
    found.facts = {word: _clean(value)[:FACT] for word, value in found.facts.items() if value}
    found.cut = found.cut or len(found.text) > TEXT
    found.text = _clean(found.text[:TEXT]).strip()
    return found


def _clean(text: str) -> str:
    """Return a text that every encoding takes: a document may hold half of a surrogate pair."""
    return text.encode(errors="replace").decode()
