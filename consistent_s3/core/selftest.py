"""Does this store honour "only if it does not exist" at all? Asked once, before the first write that rests on it.

    store = SelfTesting(inner=store, place=f"{endpoint}/{bucket}", key=layout.selftest_key)

1. Before the first conditional put of a process to a place, the store is asked to create a key that exists. One that
   does so ignores preconditions, and every conditional put raises `PreconditionsIgnoredError`: nothing was written.
2. The key is the same for all processes and is kept: as a rule it exists, and the question costs one PUT, answered 412.
   The first process of all creates it, which costs one PUT more.
3. No version's key is touched. (The answer to a write tells nothing: its key is new. Creating a version again to see
   whether it is refused would bring back one that was erased in between, and would tell only after a write that was
   not safe.)
4. A question that fails fails as the write would have: denied, unreachable, or without an answer, after which the
   writer looks, finds nothing and tries again.

Not guaranteed: that the store honours preconditions in a race. `probe` asks that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from consistent_s3.core.errors import PreconditionsIgnoredError, PreconditionTrippedError
from consistent_s3.core.seams import (
    Attributes,
    DeleteFailure,
    Download,
    ListPage,
    ObjectHead,
    ObjectStore,
    PutMode,
    PutReceipt,
    UnfinishedUpload,
)

honouring: set[str] = set()
"""Places that this process has seen refuse; one that ignores is asked again each time, it may be mended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTesting:
    """An `ObjectStore` around another that refuses to write where preconditions are ignored."""

    inner: ObjectStore
    place: str
    """What names the bucket among all that this process uses."""
    key: str
    """Of an object of no bytes that is kept; no version has it."""
    cure: str = "Set index to 'database', or numbering to 'clock', and see `manage.py consistent_s3 probe`."
    """What to do where preconditions are ignored."""

    def put(
        self, key: str, body: BinaryIO, *, mode: PutMode, attributes: Attributes, deadline: float | None = None
    ) -> PutReceipt:
        """Put. Raises `PreconditionsIgnoredError` instead of a conditional put that would mean nothing."""
        if mode is PutMode.CREATE and self.place not in honouring:
            self._ask(attributes, deadline)
        return self.inner.put(key, body, mode=mode, attributes=attributes, deadline=deadline)

    def get(self, key: str, *, start: int = 0, end: int | None = None) -> Download:
        """Get."""
        return self.inner.get(key, start=start, end=end)

    def head(self, key: str) -> ObjectHead:
        """Head."""
        return self.inner.head(key)

    def list(
        self, prefix: str, *, delimiter: str = "", start_after: str = "", token: str = "", limit: int = 1000
    ) -> ListPage:
        """List."""
        return self.inner.list(prefix, delimiter=delimiter, start_after=start_after, token=token, limit=limit)

    def delete(self, keys: Sequence[str]) -> Sequence[DeleteFailure]:
        """Delete."""
        return self.inner.delete(keys)

    def begin_upload(self, key: str, *, attributes: Attributes) -> str:
        """Begin an upload."""
        return self.inner.begin_upload(key, attributes=attributes)

    def put_part(self, key: str, upload_id: str, number: int, data: bytes) -> str:
        """Put a part."""
        return self.inner.put_part(key, upload_id, number, data)

    def complete_upload(self, key: str, upload_id: str, etags: Sequence[str]) -> PutReceipt:
        """Complete an upload."""
        return self.inner.complete_upload(key, upload_id, etags)

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Abort an upload."""
        self.inner.abort_upload(key, upload_id)

    def unfinished(self, prefix: str) -> Iterator[UnfinishedUpload]:
        """Yield unfinished uploads."""
        return self.inner.unfinished(prefix)

    def move(self, key: str, storage_class: str, *, metadata: Mapping[str, str]) -> PutReceipt:
        """Move an object to another storage class."""
        return self.inner.move(key, storage_class, metadata=metadata)

    def _ask(self, attributes: Attributes, deadline: float | None) -> None:
        try:
            self._create(attributes, deadline)
            self._create(attributes, deadline)
        except PreconditionTrippedError:
            honouring.add(self.place)
            return
        raise PreconditionsIgnoredError(
            f"Nothing was written: the store ignores preconditions. It created {self.key!r} twice, so of two "
            f"writers one would overwrite the other in silence. {self.cure}"
        )

    def _create(self, attributes: Attributes, deadline: float | None) -> None:
        asked = Attributes(extra=attributes.extra)  # as the project's puts must be, for instance encrypted
        self.inner.put(self.key, BytesIO(), mode=PutMode.CREATE, attributes=asked, deadline=deadline)
