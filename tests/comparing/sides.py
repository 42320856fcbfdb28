"""Versions that exist in memory only, for comparing."""

from __future__ import annotations

import hashlib
import io
from datetime import UTC, datetime

from consistent_s3.comparing.sides import Side
from consistent_s3.core.versions import Details, KnownDetails, Version


def version(
    data: bytes, *, number: int = 1, name: str = "a.txt", media_type: str = "", checksum: bool = True
) -> Version:
    """Return a version with these bytes."""
    details = Details(
        original_name=name,
        content_type=media_type,
        checksum=hashlib.sha256(data).hexdigest() if checksum else "",
    )
    return Version(
        name=f"dir/{name}",
        number=number,
        key=f"{name}/{number}",
        size=len(data),
        modified=datetime(2026, 3, 1, tzinfo=UTC),
        etag="",
        source=KnownDetails(details),
    )


class Counted(io.BytesIO):
    """Bytes that know how many of them were asked for."""

    asked = 0

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        Counted.asked = max(Counted.asked, len(found))
        return found


def side(data: bytes, *, number: int = 1, name: str = "a.txt", media_type: str = "", checksum: bool = True) -> Side:
    """Return one side of a comparison."""
    of = version(data, number=number, name=name, media_type=media_type, checksum=checksum)
    return Side(version=of, open=lambda: Counted(data))
