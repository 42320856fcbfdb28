"""What can be said of pictures, PDF and office files, and of any other bytes?"""

from __future__ import annotations

import io
import zipfile
from contextlib import suppress
from typing import Any

MEMBER = 1024**2
"""Bytes that are unpacked of one member of an archive at most."""
RASTER = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp"})
"""Pictures that a browser shows without running anything in them: never SVG."""
_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_CORE = {
    "title": "{http://purl.org/dc/elements/1.1/}title",
    "creator": "{http://purl.org/dc/elements/1.1/}creator",
    "modified": "{http://purl.org/dc/terms/}modified",
}


def picture_size(data: bytes) -> tuple[int, int] | None:
    """Return the width and height of a picture in pixels, if Pillow is installed and knows it."""
    try:
        from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - an extra
    except ImportError:
        return None
    with (
        suppress(UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError),
        Image.open(io.BytesIO(data)) as picture,
    ):
        return picture.size
    return None


def facts_and_text(data: bytes) -> tuple[dict[str, str], str]:
    """Return what a document says of itself, and its text, as far as they can be had."""
    if data.startswith(b"%PDF-"):
        return _of_pdf(data)
    if data.startswith(b"PK\x03\x04"):
        return _of_office(data)
    return {}, ""


def _of_pdf(data: bytes) -> tuple[dict[str, str], str]:
    try:
        from pypdf import PdfReader  # noqa: PLC0415 - an extra
        from pypdf.errors import PyPdfError  # noqa: PLC0415
    except ImportError:
        return {}, ""
    facts: dict[str, str] = {}
    text = ""
    with suppress(PyPdfError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        reader = PdfReader(io.BytesIO(data))
        facts["pages"] = str(len(reader.pages))
        found: Any = reader.metadata or {}
        facts |= {word: str(found[f"/{word.title()}"]) for word in ("title", "author") if found.get(f"/{word.title()}")}
        text = "\n".join(page.extract_text() for page in reader.pages[:50])
    return facts, text


def _of_office(data: bytes) -> tuple[dict[str, str], str]:
    try:
        from defusedxml import DefusedXmlException  # noqa: PLC0415 - an extra
        from defusedxml.ElementTree import ParseError, fromstring  # noqa: PLC0415
    except ImportError:
        return {}, ""
    facts: dict[str, str] = {}
    text = ""
    unreadable = (zipfile.BadZipFile, ParseError, DefusedXmlException, NotImplementedError, RuntimeError, OSError)
    with suppress(*unreadable, EOFError, ValueError), zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = set(archive.namelist())
        if "docProps/core.xml" in names:
            root = fromstring(_member(archive, "docProps/core.xml"))
            found = {word: root.findtext(tag) for word, tag in _CORE.items()}
            facts |= {word: value for word, value in found.items() if value}
        if "word/document.xml" in names:
            root = fromstring(_member(archive, "word/document.xml"))
            text = "\n".join(
                "".join(run.text or "" for run in paragraph.iter(f"{_WORD}t")) for paragraph in root.iter(f"{_WORD}p")
            )
    return facts, text


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as member:
        return member.read(MEMBER)
