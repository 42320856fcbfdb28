"""What is compared: two versions of a file, each opened and read at most up to a limit."""

from __future__ import annotations

import codecs
import io
import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from consistent_s3.core.versions import Version

LIMIT = 1024**2
"""Bytes that are read of one version at most, unless the whole of it is asked for."""
DOCUMENT = 16 * 1024**2
"""Bytes up to which the whole of a version is read."""
_BINARY = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]|[\ud800-\udfff]")
"""Control characters that no text file has."""


@dataclass(slots=True, kw_only=True)
class Side:
    """One of the two versions."""

    version: Version
    open: Callable[[], BinaryIO]
    """Opens the bytes as the person who saved them had them."""
    _head: bytes | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """Return what the file was called."""
        return self.version.original_name or posixpath.basename(self.version.name)

    @property
    def extension(self) -> str:
        """Return the extension of its name, in lower case, with the dot."""
        return posixpath.splitext(self.name)[1].lower()

    @property
    def media_type(self) -> str:
        """Return its media type without parameters, in lower case."""
        return self.version.content_type.partition(";")[0].strip().lower()

    @property
    def head(self) -> bytes:
        """Return the first `LIMIT` bytes, and one more if there are more."""
        if self._head is None:
            with self.open() as file:
                self._head = file.read(LIMIT + 1)
        return self._head

    @property
    def is_cut(self) -> bool:
        """Return whether there is more than is looked at."""
        return len(self.head) > LIMIT

    @property
    def data(self) -> bytes:
        """Return what is looked at."""
        return self.head[:LIMIT]

    def whole(self) -> bytes | None:
        """Return all of it, `None` if that is more than `DOCUMENT` bytes. It is not kept."""
        if not self.is_cut:
            return self.data
        if self.version.size > DOCUMENT:
            return None
        found = io.BytesIO()
        found.write(self.head)
        with self.open() as file:
            file.seek(found.tell())
            while found.tell() <= DOCUMENT and (more := file.read(LIMIT)):
                found.write(more)
        return found.getvalue() if found.tell() <= DOCUMENT else None

    def text(self) -> str | None:
        """Return it as text, or `None` if it is none. A cut text ends with its last whole line."""
        for encoding in _encodings(self.data):
            try:
                # What is cut may end in the middle of a character.
                text = codecs.getincrementaldecoder(encoding)().decode(self.data, final=not self.is_cut)
            except UnicodeDecodeError:
                continue
            if _BINARY.search(text):
                return None
            return text[: text.rfind("\n") + 1] or text if self.is_cut else text
        return None


def _encodings(data: bytes) -> tuple[str, ...]:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return ("utf-16",)
    return ("utf-8-sig", "cp1252")
