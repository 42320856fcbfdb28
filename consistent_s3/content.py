"""What is to be saved: any file-like content, read once.

Django hands over uploads, files of every kind, and things that merely have `chunks()`; what is made of them here can
be sent as often as it takes.
"""

from __future__ import annotations

import gzip
import os
import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from consistent_s3.core.seams import Attributes
from consistent_s3.core.versions import Details
from consistent_s3.core.writing import Spool


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What is to be saved, read once and ready to be sent as often as it takes."""

    body: Spool
    details: Details
    attributes: Attributes


def base_name(content: Any) -> str:
    """Return what a content's file was called, without its directories; empty if it has no name.

    A temporary file's name is a number (its descriptor), a file of the disk may be named by bytes or by half a
    surrogate pair: none of them is a reason to refuse the bytes.
    """
    name = getattr(content, "name", None)
    if not isinstance(name, str | bytes | os.PathLike):
        return ""
    return posixpath.basename(os.fsdecode(name)).encode(errors="replace").decode()


def compressed(chunks: Iterable[bytes | str]) -> Iterator[bytes]:
    """Yield chunks as one gzip stream, the same for the same bytes."""
    pending = _Pending()
    with gzip.GzipFile(mode="wb", fileobj=cast("Any", pending), mtime=0.0) as compressor:
        for chunk in chunks:
            compressor.write(chunk.encode() if isinstance(chunk, str) else chunk)
            yield pending.take()
    yield pending.take()


class _Pending:
    """Collects what the compressor has written since it was last taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken
