"""A bucket in memory, for tests of whatever rests on an `ObjectStore`."""

from __future__ import annotations

import bisect
import hashlib
import io
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import BinaryIO

from consistent_s3.core.errors import (
    AnswerLostError,
    DeadlinePassedError,
    KeyMissingError,
    PreconditionTrippedError,
    StoreError,
)
from consistent_s3.core.seams import (
    Attributes,
    Clock,
    DeleteFailure,
    ListPage,
    ObjectHead,
    ObjectInfo,
    PutMode,
    PutReceipt,
    SystemClock,
    UnfinishedUpload,
)


@dataclass(slots=True)
class _Stored:
    head: ObjectHead
    data: bytes


@dataclass(slots=True)
class _Upload:
    key: str
    attributes: Attributes
    begun: datetime
    parts: dict[int, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class MemoryDownload:
    """The body of one get."""

    head: ObjectHead
    _stream: io.BytesIO

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes."""
        return self._stream.read(size)

    def close(self) -> None:
        """Do nothing: there is no connection."""


@dataclass(slots=True)
class MemoryObjectStore:
    """A strongly consistent `ObjectStore` in memory, safe in many threads.

    Guarantees all of `ObjectStore`: creating is atomic, listings are in the order of UTF-8 bytes and never stale. As S3
    does, it dates an object made of parts from the beginning of its upload, and to the second.
    """

    clock: Clock = field(default_factory=SystemClock)
    _objects: dict[str, _Stored] = field(default_factory=dict, repr=False)
    _keys: list[bytes] = field(default_factory=list, repr=False)
    _uploads: dict[str, _Upload] = field(default_factory=dict, repr=False)
    _begun: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def put(
        self, key: str, body: BinaryIO, *, mode: PutMode, attributes: Attributes, deadline: float | None = None
    ) -> PutReceipt:
        """Write one object."""
        if deadline is not None and self.clock.monotonic() > deadline:
            raise DeadlinePassedError(f"The write deadline passed before {key!r} was sent.")
        body.seek(0)
        data = body.read()
        with self._lock:
            if mode is PutMode.CREATE and key in self._objects:
                raise PreconditionTrippedError(f"The precondition to write {key!r} did not hold: PreconditionFailed.")
            return self._store(key, data, attributes, self.clock.now())

    def get(self, key: str, *, start: int = 0, end: int | None = None) -> MemoryDownload:
        """Read a range of one object."""
        stored = self._find(key)
        if start and start >= len(stored.data):
            raise StoreError(f"Byte {start} is beyond the {len(stored.data)} bytes of {key!r}.")
        return MemoryDownload(stored.head, io.BytesIO(stored.data[start:end]))

    def head(self, key: str) -> ObjectHead:
        """Return the headers of one object."""
        return self._find(key).head

    def list(
        self, prefix: str, *, delimiter: str = "", start_after: str = "", token: str = "", limit: int = 1000
    ) -> ListPage:
        """Return one page."""
        first = prefix.encode()
        after = (token or start_after).encode()
        objects: list[ObjectInfo] = []
        prefixes: list[str] = []
        last = ""
        with self._lock:
            position = bisect.bisect_left(self._keys, first)
            if after >= first:
                position = bisect.bisect_right(self._keys, after)
                if token and token.endswith(delimiter) and delimiter:
                    position = bisect.bisect_left(self._keys, after[:-1] + bytes([after[-1] + 1]))
            while position < len(self._keys) and self._keys[position].startswith(first):
                if len(objects) + len(prefixes) == limit:
                    return ListPage(objects=tuple(objects), prefixes=tuple(prefixes), token=last)
                key = self._keys[position].decode()
                head, folded, _ = key.removeprefix(prefix).partition(delimiter) if delimiter else (key, "", "")
                if folded:
                    last = prefix + head + delimiter
                    prefixes.append(last)
                    position = bisect.bisect_left(self._keys, last[:-1].encode() + bytes([ord(last[-1]) + 1]))
                else:
                    last = key
                    objects.append(self._objects[key].head.info)
                    position += 1
        return ListPage(objects=tuple(objects), prefixes=tuple(prefixes))

    def delete(self, keys: Sequence[str]) -> Sequence[DeleteFailure]:
        """Delete keys."""
        if len(keys) > 1000:
            raise StoreError(f"{len(keys)} keys are too many for one request. Send at most 1000.")
        with self._lock:
            for key in keys:
                if self._objects.pop(key, None) is not None:
                    del self._keys[bisect.bisect_left(self._keys, key.encode())]
        return ()

    def begin_upload(self, key: str, *, attributes: Attributes) -> str:
        """Begin a multipart upload."""
        with self._lock:
            self._begun += 1
            upload_id = f"upload-{self._begun}"
            self._uploads[upload_id] = _Upload(key, attributes, self.clock.now())
            return upload_id

    def put_part(self, key: str, upload_id: str, number: int, data: bytes) -> str:
        """Keep one part."""
        with self._lock:
            if upload_id not in self._uploads:
                raise StoreError(f"There is no upload {upload_id!r} of {key!r}.")
            self._uploads[upload_id].parts[number] = data
        return _etag(data)

    def complete_upload(self, key: str, upload_id: str, etags: Sequence[str]) -> PutReceipt:
        """Make the object."""
        with self._lock:
            upload = self._uploads.pop(upload_id, None)
            if upload is None:
                raise AnswerLostError(f"The upload of {key!r} is gone: completed before, or aborted.")
            data = b"".join(upload.parts[number + 1] for number in range(len(etags)))
            return self._store(key, data, upload.attributes, upload.begun)

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Drop the parts."""
        with self._lock:
            self._uploads.pop(upload_id, None)

    def unfinished(self, prefix: str) -> Iterator[UnfinishedUpload]:
        """Yield the uploads that were neither completed nor aborted."""
        with self._lock:
            uploads = list(self._uploads.items())
        for upload_id, upload in uploads:
            if upload.key.startswith(prefix):
                yield UnfinishedUpload(key=upload.key, upload_id=upload_id, begun=upload.begun)

    def move(self, key: str, storage_class: str, *, metadata: Mapping[str, str]) -> PutReceipt:
        """Replace the metadata, and note the class among the object's attributes."""
        with self._lock:
            stored = self._find(key)
            attributes = Attributes(
                metadata=metadata,
                content_type=stored.head.content_type,
                content_encoding=stored.head.content_encoding,
                extra={"StorageClass": storage_class},
            )
            return self._store(key, stored.data, attributes, self.clock.now())

    def age(self, by: timedelta) -> None:
        """Make all objects look older by so much."""
        with self._lock:
            for stored in self._objects.values():
                info = replace(stored.head.info, modified=stored.head.info.modified - by)
                stored.head = replace(stored.head, info=info)

    @property
    def uploads(self) -> int:
        """Return how many multipart uploads are neither completed nor aborted."""
        return len(self._uploads)

    @property
    def keys(self) -> Sequence[str]:
        """Return all keys, in order."""
        return [key.decode() for key in self._keys]

    def _find(self, key: str) -> _Stored:
        try:
            return self._objects[key]
        except KeyError:
            raise KeyMissingError(f"There is no object {key!r}.") from None

    def _store(self, key: str, data: bytes, attributes: Attributes, written: datetime) -> PutReceipt:
        modified = written.replace(microsecond=0)
        info = ObjectInfo(key=key, size=len(data), etag=_etag(data), modified=modified)
        if key not in self._objects:
            bisect.insort(self._keys, key.encode())
        self._objects[key] = _Stored(
            ObjectHead(
                info=info,
                metadata=dict(attributes.metadata),
                content_type=attributes.content_type,
                content_encoding=attributes.content_encoding,
            ),
            data,
        )
        return PutReceipt(etag=info.etag, modified=modified)


def _etag(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
