"""The file objects that `open` returns.

Reading asks the store for nothing before bytes are needed, and then for no more than is likely to be read. Writing
streams, publishes on a clean `close`, and publishes nothing after an exception.
"""

from __future__ import annotations

import gzip
import io
import mimetypes
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, cast

from django.core.files.base import File

from consistent_s3.core.reading import VersionReader
from consistent_s3.core.versions import Version, from_head
from consistent_s3.core.writing import BodyUpload

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

    from consistent_s3.storage import ConsistentS3Storage

    AnyFile = File[Any]
else:
    AnyFile = File


class VersionFile(AnyFile):
    """One version, opened for reading.

    Guarantees:

    1. It reads the same version for its whole life, whatever is written meanwhile.
    2. It makes no request until bytes are needed; `size`, `seek` and `version` never make one.
    3. It may be reopened after `close` and reads the same version again.
    """

    def __init__(self, storage: ConsistentS3Storage, version: Version, mode: str) -> None:
        self._storage = storage
        self.version = version
        self.name: str = version.name
        self.mode = mode
        self._stream: IO[Any] | None = None
        self._buffered: io.BufferedReader | None = None

    @property
    def file(self) -> IO[Any]:  # type: ignore[override]
        """Return the stream, made when first used."""
        if self._stream is None:
            self._stream = self._make_stream()
        return self._stream

    @property
    def size(self) -> int:
        """Return the length as stored, in bytes."""
        return self.version.size

    @property
    def url(self) -> str:
        """Return an address of this version's bytes."""
        return self._storage.url(self.name, version=self.version)

    @property
    def closed(self) -> bool:
        """Return whether it was closed and not used since."""
        return self._stream is not None and self._stream.closed

    def open(self, mode: str | None = None, *_: Any, **__: Any) -> VersionFile:
        """Go back to the beginning, open or closed."""
        if mode is not None and mode != self.mode:
            raise ValueError(f"{self.name!r} was opened with mode {self.mode!r}; open it anew for {mode!r}.")
        if self.closed:
            self._stream = None
        elif self._stream is not None:
            self._stream.seek(0)
        return self

    def close(self) -> None:
        """Give the connection back."""
        if self._stream is None:
            self._stream = io.BytesIO()
        self._stream.close()
        if self._buffered is not None:
            self._buffered.close()  # a `GzipFile` leaves open what it reads from

    def read(self, size: int | None = -1, /) -> Any:
        """Read up to `size` bytes (or characters), or all."""
        return self.file.read(-1 if size is None else size)

    def _make_stream(self) -> IO[Any]:
        reader = self._storage.archive.reader(self.version)
        self._buffered = io.BufferedReader(reader, buffer_size=self.DEFAULT_CHUNK_SIZE)
        stream: Any = gzip.GzipFile(fileobj=self._buffered) if self._was_compressed(reader) else self._buffered
        if "b" not in self.mode:
            stream = io.TextIOWrapper(stream, encoding="utf-8")
        return cast("IO[Any]", stream)

    def _was_compressed(self, reader: VersionReader) -> bool:
        """Return whether the storage compressed the bytes, rather than got them so, as those of a `.tar.gz`."""
        if not (self._storage.gzip and self.version.size and reader.head().content_encoding == "gzip"):
            return False
        original_name = from_head(reader.head()).original_name or self.name
        return mimetypes.guess_type(original_name)[1] is None


class VersionWriter(AnyFile):
    """A new version, opened for writing.

    Guarantees:

    1. A clean `close` publishes everything that was written as one version, found in `version` then.
    2. After an exception in the `with` block, or in `write`, nothing is published, also not by a later `close`.
    3. No more than a part of the body (8 MiB) is held in memory.
    """

    def __init__(self, storage: ConsistentS3Storage, upload: BodyUpload, mode: str, *, expected: int | None) -> None:
        self._storage = storage
        self._upload = upload
        self._expected = expected
        self._finished = False
        self.name: str = upload.name
        self.mode = mode
        self.version: Version | None = None

    @property
    def file(self) -> _WriteOnly:  # type: ignore[override]
        """Return what it writes to: there is no local file."""
        return _WriteOnly(self)

    @property
    def size(self) -> int:
        """Return the bytes written so far."""
        return self._upload.size

    @property
    def closed(self) -> bool:
        """Return whether the version was published or given up."""
        return self._finished

    def write(self, data: Any, /) -> int:
        """Take bytes in, or text, which becomes UTF-8."""
        self._require_open()
        try:
            encoded = data.encode() if isinstance(data, str) else bytes(memoryview(data))
            self._upload.write(encoded)
        except BaseException:
            self.discard()
            raise
        return len(data) if isinstance(data, str) else len(encoded)

    def writelines(self, lines: Any, /) -> None:
        """Write each of some lines."""
        for line in lines:
            self.write(line)

    def tell(self) -> int:
        """Return the bytes written so far."""
        return self._upload.size

    def flush(self) -> None:
        """Do nothing: a version is published whole or not at all."""

    def writable(self) -> bool:
        """Return whether it is still open."""
        return not self._finished

    def readable(self) -> bool:
        """Return false."""
        return False

    def seekable(self) -> bool:
        """Return false."""
        return False

    def open(self, *_: Any, **__: Any) -> VersionWriter:
        """Return itself while it is open."""
        self._require_open()
        return self

    def close(self) -> None:
        """Publish what was written. Raises as `ConsistentS3Storage.write`; then nothing is published."""
        if self._finished:
            return
        self._finished = True
        try:
            self.version = self._storage.archive.publish(self.name, self._upload.finish(), expected=self._expected)
        except BaseException:
            self._upload.abort()
            raise

    def discard(self) -> None:
        """Give up what was written."""
        if not self._finished:
            self._finished = True
            self._upload.abort()

    def __enter__(self) -> VersionWriter:
        self._require_open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def _require_open(self) -> None:
        if self._finished:
            raise ValueError(f"{self.name!r} is closed. Open it again to write another version.")


class _WriteOnly(io.RawIOBase):
    """A writer as `File` wants to see it: whoever asks whether it can also read or seek is told as files tell it."""

    def __init__(self, writer: VersionWriter) -> None:
        super().__init__()
        self._writer = writer

    def writable(self) -> bool:
        return self._writer.writable()

    def write(self, data: ReadableBuffer, /) -> int:
        return self._writer.write(data)

    def readinto(self, _: WriteableBuffer, /) -> int:
        raise io.UnsupportedOperation("not readable")
