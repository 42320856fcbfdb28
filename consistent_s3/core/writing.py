"""How do bytes of any length become the body of a version?

A body whose length is known and which fits one put (S3: 5 GiB) is put under the version's key directly. A longer one,
or a stream, is uploaded in parts to a key of its own, and the version is a small put that points to it. The condition
is therefore always that of a plain PUT: Ceph's gateway ignores it on CompleteMultipartUpload, and overwrites.

A body uploaded for a version that never came is garbage which the collector takes after `grace`. S3 dates an object
made of parts from the *beginning* of its upload, so the pointer is sent only as long as it must land before that.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import IO, Any, BinaryIO

from consistent_s3.core.errors import AnswerLostError, OutcomeUnknownError, StoreError
from consistent_s3.core.keys import Layout
from consistent_s3.core.protocol import SIGNATURE_VALIDITY, Draft, Timing
from consistent_s3.core.seams import Attributes, Clock, ObjectStore
from consistent_s3.core.versions import Details, from_head, merge_metadata, to_metadata

SINGLE_PUT = 5 * 1024**3
"""Bytes that one PutObject takes. https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html"""
MEMORY = 8 * 1024**2
"""Bytes kept in memory before a body moves to a temporary file, or a stream begins to upload parts."""
PART = 8 * 1024**2
"""Bytes of a part; doubled every 2,000 parts, so that 10,000 of them reach more than 200 GiB."""


@dataclass(slots=True, kw_only=True)
class Spool:
    """All bytes of a body, in memory or in a temporary file, with their length and checksum. Close it when done."""

    file: IO[bytes]
    size: int
    checksum: str
    """SHA-256, hexadecimal."""

    def close(self) -> None:
        """Drop the temporary file."""
        self.file.close()


def spool(chunks: Iterable[bytes | str], *, directory: str | None = None) -> Spool:
    """Take all chunks in; text becomes UTF-8. An error of the chunks' source leaves nothing behind."""
    file = tempfile.SpooledTemporaryFile(max_size=MEMORY, dir=directory)  # noqa: SIM115 - the caller closes it
    digest, size = hashlib.sha256(), 0
    try:
        for chunk in chunks:
            data = chunk.encode() if isinstance(chunk, str) else chunk
            digest.update(data)
            size += len(data)
            file.write(data)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return Spool(file=file, size=size, checksum=digest.hexdigest())


def pieces(file: BinaryIO | IO[bytes], size: int = 1024 * 1024) -> Iterator[bytes]:
    """Yield a file's bytes, from where it stands."""
    while data := file.read(size):
        yield data


@dataclass(slots=True, kw_only=True)
class BodyUpload:
    """A body of unknown length on its way to a key of its own.

    Guarantees: nothing is visible under the name before the draft that `finish` returns is committed; `abort`, a
    failed write, or never finishing leaves at most garbage for the collector.
    """

    store: ObjectStore
    layout: Layout
    timing: Timing
    clock: Clock
    name: str
    write_id: str
    """Of the upload, not of the version: it makes the body's key unique."""
    details: Details
    attributes: Attributes
    threshold: int = MEMORY
    """A body no longer than this becomes one put."""
    part_size: int = PART
    _buffer: io.BytesIO = field(default_factory=io.BytesIO)
    _digest: Any = field(default_factory=hashlib.sha256)
    _size: int = 0
    _upload_id: str = ""
    _etags: list[str] = field(default_factory=list)
    _began: float = 0.0
    _completing: bool = False

    @property
    def key(self) -> str:
        """Return the key of the body."""
        return self.layout.body_key(self.name, self.write_id)

    @property
    def size(self) -> int:
        """Return the bytes written so far."""
        return self._size

    def write(self, data: bytes) -> None:
        """Take bytes in; send full parts."""
        self._digest.update(data)
        self._size += len(data)
        self._buffer.write(data)
        if self._buffer.tell() >= (self._current_part_size() if self._upload_id else self.threshold):
            self._send_part()

    def finish(self) -> Draft:
        """Return the draft of the version: the bytes themselves, or a pointer to them.

        Raises: `OutcomeUnknownError`, or what the store raises.
        """
        details = replace(self.details, checksum=self._digest.hexdigest())
        if not self._upload_id:
            self._buffer.seek(0)
            return Draft(file=self._buffer, size=self._size, details=details, attributes=self.attributes)
        if self._buffer.tell():
            self._send_part()
        self._complete()
        details = replace(details, body_key=self.key, body_size=self._size)
        usable = (self.timing.grace - SIGNATURE_VALIDITY).total_seconds()
        return Draft(
            file=io.BytesIO(),
            size=0,
            details=details,
            attributes=self.attributes,
            usable_until=self._began + usable,
        )

    def abort(self) -> None:
        """Throw away what was sent, as far as the store lets us; the rest is garbage for the collector."""
        if self._upload_id and not self._completing:
            with suppress(StoreError):
                self.store.abort_upload(self.key, self._upload_id)

    def _current_part_size(self) -> int:
        return int(self.part_size * 2 ** (len(self._etags) // 2000))

    def _send_part(self) -> None:
        if not self._upload_id:
            self._began = self.clock.monotonic()
            own = to_metadata(Details(write_id=self.write_id, original_name=self.details.original_name))
            attributes = replace(self.attributes, metadata=merge_metadata(own, self.attributes.metadata))
            self._upload_id = self.store.begin_upload(self.key, attributes=attributes)
        etag = self.store.put_part(self.key, self._upload_id, len(self._etags) + 1, self._buffer.getvalue())
        self._etags.append(etag)
        self._buffer = io.BytesIO()

    def _complete(self) -> None:
        self._completing = True  # from here on an abort could hit what was made: leave it to the collector
        try:
            self.store.complete_upload(self.key, self._upload_id, self._etags)
        except AnswerLostError as error:
            try:
                ours = from_head(self.store.head(self.key)).write_id == self.write_id
            except StoreError:
                ours = False
            if not ours:
                raise OutcomeUnknownError(
                    f"Nobody can say whether the body of {self.name!r} was completed. Nothing was published. "
                    "Write it again.",
                    name=self.name,
                    write_id=self.write_id,
                ) from error
