"""What may a page ask of a bucket? It reads, and never more than so many objects, whatever is in the streams."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, NoReturn

from consistent_s3.core.errors import ConsistentS3Error
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

MOST = 200
"""Requests that a page may send."""


class BudgetSpentError(ConsistentS3Error):
    """A page would need more requests than it may send."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingBudget:
    """An `ObjectStore` around another that can only be read, and only so often.

    Raises: `BudgetSpentError` for one request more; `RuntimeError` for each that would write. Safe in many threads.
    """

    inner: ObjectStore
    most: int = MOST
    _spent: list[int] = field(default_factory=lambda: [0])
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def get(self, key: str, *, start: int = 0, end: int | None = None) -> Download:
        """Get."""
        self._spend()
        return self.inner.get(key, start=start, end=end)

    def head(self, key: str) -> ObjectHead:
        """Head."""
        self._spend()
        return self.inner.head(key)

    def list(
        self, prefix: str, *, delimiter: str = "", start_after: str = "", token: str = "", limit: int = 1000
    ) -> ListPage:
        """List."""
        self._spend()
        return self.inner.list(prefix, delimiter=delimiter, start_after=start_after, token=token, limit=limit)

    def unfinished(self, prefix: str) -> Iterator[UnfinishedUpload]:
        """Yield unfinished uploads."""
        self._spend()
        return self.inner.unfinished(prefix)

    def put(
        self, key: str, body: BinaryIO, *, mode: PutMode, attributes: Attributes, deadline: float | None = None
    ) -> PutReceipt:
        """Refuse."""
        _refuse()

    def delete(self, keys: Sequence[str]) -> Sequence[DeleteFailure]:
        """Refuse."""
        _refuse()

    def begin_upload(self, key: str, *, attributes: Attributes) -> str:
        """Refuse."""
        _refuse()

    def put_part(self, key: str, upload_id: str, number: int, data: bytes) -> str:
        """Refuse."""
        _refuse()

    def complete_upload(self, key: str, upload_id: str, etags: Sequence[str]) -> PutReceipt:
        """Refuse."""
        _refuse()

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Refuse."""
        _refuse()

    def move(self, key: str, storage_class: str, *, metadata: Mapping[str, str]) -> PutReceipt:
        """Refuse."""
        _refuse()

    def _spend(self) -> None:
        with self._lock:
            self._spent[0] += 1
            if self._spent[0] > self.most:
                raise BudgetSpentError(f"A page may send {self.most} requests, and this one would send more.")


def _refuse() -> NoReturn:
    raise RuntimeError("The pages of streams only read: this is a mistake of consistent_s3. Report it.")
