"""What is to be saved: any file-like content, read once.

Django hands over uploads, files of every kind, and things that merely have `chunks()`; what is made of them here can
be sent as often as it takes.
"""

from __future__ import annotations

import gzip
import mimetypes
import os
import posixpath
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from django.conf import settings
from django.core.files.base import File

from consistent_s3.attribution import attribute
from consistent_s3.core.seams import Attributes
from consistent_s3.core.versions import Details
from consistent_s3.core.writing import BodyUpload, Spool, spool

if TYPE_CHECKING:
    from storages.backends.s3 import S3Storage

    from consistent_s3.storage import ConsistentS3Storage

CACHE_CONTROL = "max-age=31536000, immutable"
"""A version never changes: it may be cached for as long as HTTP can say (a year, RFC 9111)."""

MINIMUM_PART = 5 * 1024**2
"""Bytes below which S3 refuses a part. https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html"""


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


def attributes_of(storage: S3Storage, name: str, original_name: str, content_type: str | None) -> Attributes:
    """Return what is stored beside the bytes: what the project set for the name, else what its file is called."""
    given = storage.get_object_parameters(name)
    guessed, encoding = mimetypes.guess_type(original_name)
    guessed = guessed or mimetypes.guess_type(name)[0] or storage.default_content_type
    return Attributes(
        metadata=given.get("Metadata", {}),
        content_type=given.get("ContentType") or content_type or guessed,
        content_encoding=given.get("ContentEncoding", "" if "ContentType" in given else encoding or ""),
        extra=put_arguments(storage, name),
    )


def put_arguments(storage: S3Storage, name: str) -> dict[str, Any]:
    """Return the boto3 arguments of a put that say nothing of its content."""
    of_content = {"Metadata", "ContentType", "ContentEncoding"}
    extra = {key: value for key, value in storage.get_object_parameters(name).items() if key not in of_content}
    extra.setdefault("CacheControl", CACHE_CONTROL)
    if storage.default_acl:
        extra.setdefault("ACL", storage.default_acl)
    return extra


@contextmanager
def taken_in(
    storage: S3Storage, name: str, content: Any, author: str | None, comment: str, original_name: str
) -> Iterator[Content]:
    """Read content once, through its own `chunks()`, and drop the copy afterwards."""
    if not hasattr(content, "chunks"):
        content = File(content, name)
    original_name = original_name or base_name(content) or posixpath.basename(name)
    attributes = attributes_of(storage, name, original_name, getattr(content, "content_type", None))
    chunks: Iterable[Any] = content.chunks()
    if _compresses(storage, attributes):
        attributes = replace(attributes, content_encoding="gzip")
        chunks = compressed(chunks)
    who = attribute(author, comment)
    details = Details(author=who.author, comment=who.comment, original_name=original_name)
    body = spool(chunks, directory=settings.FILE_UPLOAD_TEMP_DIR)
    try:
        yield Content(body=body, details=details, attributes=attributes)
    finally:
        body.close()


def begin_upload(storage: ConsistentS3Storage, name: str) -> BodyUpload:
    """Begin a body of unknown length, to be filled through a file opened for writing."""
    original_name = posixpath.basename(name)
    who = attribute(None, "")
    return storage.archive.upload(
        name,
        details=Details(author=who.author, comment=who.comment, original_name=original_name),
        attributes=attributes_of(storage, name, original_name, None),
        threshold=max(storage.transfer_config.multipart_threshold, MINIMUM_PART),
        part_size=max(storage.transfer_config.multipart_chunksize, MINIMUM_PART),
    )


def _compresses(storage: S3Storage, attributes: Attributes) -> bool:
    wanted = storage.gzip and attributes.content_type in storage.gzip_content_types
    return bool(wanted and not attributes.content_encoding)


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
