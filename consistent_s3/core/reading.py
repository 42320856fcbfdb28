"""How are the bytes of one version read?

A version's bytes never change, so any range of them, read at any time, belongs to the same whole. Nothing is fetched
until bytes are needed; the first request asks for a small range, a reader that goes on past it gets the rest in one
stream, and `read()` gets everything in one request. A connection that breaks is resumed at the byte it reached.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn, TypeVar

from consistent_s3.core.errors import (
    KeyMissingError,
    NotYetVisibleError,
    StoreError,
    UnreachableError,
    VersionNotFoundError,
)
from consistent_s3.core.seams import Clock, Download, ObjectHead, ObjectStore
from consistent_s3.core.versions import Version

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

FIRST_WINDOW = 256 * 1024
"""Bytes that the first request asks for, unless the reader itself asks for more."""
SKIP = 256 * 1024
"""A seek forward by no more than this reads on instead of asking anew."""
RESUMES = 5
"""How many broken connections in a row are resumed without a byte of progress."""

Answer = TypeVar("Answer")


class VersionReader(io.RawIOBase):
    """The bytes of one version, as a seekable raw stream; wrap it in `io.BufferedReader` for small reads.

    Guarantees:

    1. Every byte comes from the one version, whatever is written or collected meanwhile; if it is collected, reading
       raises `VersionNotFoundError`.
    2. The end of the data is only ever the end of the version: a broken connection is resumed or raises.
    3. An object that the store does not show yet is waited for, then `NotYetVisibleError`; never another version.
       `patience` says for how many seconds, `None` if the object is gone for good.

    Not guaranteed: safety of one reader in several threads. Give each its own.
    """

    def __init__(
        self,
        store: ObjectStore,
        version: Version,
        *,
        clock: Clock,
        chance: random.Random,
        patience: Callable[[], float | None],
    ) -> None:
        super().__init__()
        self.version = version
        self._store = store
        self._clock = clock
        self._chance = chance
        self._patience = patience
        self._position = 0
        self._download: Download | None = None
        self._download_at = 0
        self._download_end = 0
        self._head: ObjectHead | None = None

    def readable(self) -> bool:
        """Return true."""
        return True

    def seekable(self) -> bool:
        """Return true."""
        return True

    def tell(self) -> int:
        """Return the position of the next byte."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move without any request."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.version.size}[whence]
        if base + offset < 0:
            raise ValueError(f"Position {base + offset} is before the beginning of the file.")
        self._position = base + offset
        return self._position

    def head(self) -> ObjectHead:
        """Return the headers of the object, from the first GET; it is made now if it was not yet.

        Where no byte is left to read, one HEAD.
        """
        if self._head is None and self._position < self.version.size:
            self._ensure(1)
        if self._head is None:
            self._head = self._visible(lambda: self._store.head(self.version.body_key))
        return self._head

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill the buffer as far as one read from the store does."""
        view = memoryview(buffer).cast("B")
        data = self._read_some(len(view))
        view[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        """Return everything from here to the end: one request, if nothing was read before."""
        pieces = []
        while data := self._read_some(max(self.version.size - self._position, 0)):
            pieces.append(data)
        return b"".join(pieces)

    def close(self) -> None:
        """Give the connection back."""
        self._drop()
        super().close()

    def _read_some(self, wanted: int) -> bytes:
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        wanted = min(wanted, self.version.size - self._position)
        if wanted <= 0:
            return b""
        for failures in range(RESUMES + 1):
            try:
                download = self._ensure(wanted)
                data = download.read(min(wanted, self._download_end - self._position))
                if not data:
                    raise UnreachableError(f"The answer for {self.version.name!r} ended early.")
            except UnreachableError:
                self._drop()
                if failures == RESUMES:
                    raise
                self._clock.sleep(0.05 * 2**failures * (0.5 + self._chance.random()))
                continue
            self._position += len(data)
            self._download_at = self._position
            return data
        raise AssertionError("unreachable")  # pragma: no cover

    def _ensure(self, wanted: int) -> Download:
        """Return a download that stands at our position."""
        reads_on = self._download is not None and self._download_at <= self._position
        if self._download is not None and reads_on:
            gap = self._position - self._download_at
            if gap <= SKIP and self._position < self._download_end:
                while gap:
                    skipped = len(self._download.read(gap))
                    if not skipped:
                        raise UnreachableError(f"The answer for {self.version.name!r} ended early.")
                    gap -= skipped
                    self._download_at += skipped
                return self._download
        sequential = reads_on and self._position == self._download_end
        window = self.version.size if sequential else max(wanted, FIRST_WINDOW)
        end = min(self._position + window, self.version.size)
        self._drop()
        self._download = self._visible(lambda: self._store.get(self.version.body_key, start=self._position, end=end))
        self._download_at, self._download_end = self._position, end
        self._head = self._download.head
        return self._download

    def _visible(self, request: Callable[[], Answer]) -> Answer:
        """Return what the store answers, once it shows the object."""
        began = self._clock.monotonic()
        pause = 0.05
        while True:
            try:
                return request()
            except KeyMissingError as error:
                patience = self._patience()
                if patience is None:
                    self._raise_gone(error)
                if self._clock.monotonic() - began >= patience:
                    self._raise_hidden(patience, error)
            self._clock.sleep(pause * (0.5 + self._chance.random()))
            pause = min(pause * 2, 5.0)

    def _raise_gone(self, error: StoreError) -> NoReturn:
        raise VersionNotFoundError(
            f"Version {self.version.number} of {self.version.name!r} is gone: it was collected or erased while it "
            "was being read. Open the file again for the current version."
        ) from error

    def _raise_hidden(self, patience: float, error: StoreError) -> NoReturn:
        raise NotYetVisibleError(
            f"Version {self.version.number} of {self.version.name!r} is there, but the store does not show its object "
            f"after {patience:g} seconds. It was written {self.version.modified:%Y-%m-%d %H:%M} UTC: if that was just "
            "now, try again later; if not, somebody deleted it there, or it was lost."
        ) from error

    def _drop(self) -> None:
        if self._download is not None:
            self._download.close()
            self._download = None
