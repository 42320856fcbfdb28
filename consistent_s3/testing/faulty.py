"""A store that fails the ways stores fail; each fault counts how often it fired.

The faults are those by which other systems lost data: an answer lost after the write was applied, a write that lands
long after its sender gave up, a retry that meets its own first attempt, a 409 that means nothing, a 5xx before or
after, a broken body, a process that stalls or dies at any call.
"""

from __future__ import annotations

import io
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from consistent_s3.core.errors import (
    AnswerLostError,
    DeadlinePassedError,
    PreconditionTrippedError,
    StoreError,
    UnreachableError,
)
from consistent_s3.core.seams import (
    Attributes,
    Clock,
    DeleteFailure,
    Download,
    ListPage,
    ObjectHead,
    ObjectStore,
    PutMode,
    PutReceipt,
    UnfinishedUpload,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """How probable each fault is at each call, from 0 to 1."""

    lost_before: float = 0.0
    """A put fails and was not applied."""
    lost_after: float = 0.0
    """A put was applied, and its answer is lost."""
    lands_late: float = 0.0
    """A put fails, and is applied up to `latest` seconds later."""
    meets_itself: float = 0.0
    """A put was applied, its answer lost, and the client's own retry answered 412."""
    conflict_409: float = 0.0
    """A conditional put is answered 409 and was not applied."""
    no_answer: float = 0.0
    """A get, head, list or delete gets no answer."""
    broken_body: float = 0.0
    """The body of a get breaks off somewhere."""
    stall: float = 0.0
    """The caller's process stands still for up to `longest_stall` seconds before the call."""
    stall_after: float = 0.0
    """The same after the call."""


class _BreakingDownload:
    """A body that breaks off at a byte."""

    def __init__(self, inner: Download, whole: int) -> None:
        self._inner = inner
        self._left = whole

    @property
    def head(self) -> ObjectHead:
        return self._inner.head

    def read(self, size: int, /) -> bytes:
        if self._left <= 0:
            raise UnreachableError("The answer broke off (planned).")
        data = self._inner.read(min(size, self._left))
        self._left -= len(data)
        return data

    def close(self) -> None:
        self._inner.close()


@dataclass(slots=True, kw_only=True)
class Faulty:
    """An `ObjectStore` around another, with faults by seed.

    Guarantees: nothing is ever applied that the caller did not send; a put that was sent is applied at most once, and
    never later than `latest` after it was sent.
    """

    inner: ObjectStore
    clock: Clock
    chance: random.Random
    rates: Rates
    later: Callable[[float, Callable[[], object]], object] | None = None
    """Runs a function after so many seconds; without it `lands_late` is off."""
    latest: float = 15 * 60.0
    """Seconds for which a signed request is valid."""
    longest_stall: float = 3 * 86400.0
    fired: Counter[str] = field(default_factory=Counter)
    """How often each fault happened."""

    def put(
        self, key: str, body: BinaryIO, *, mode: PutMode, attributes: Attributes, deadline: float | None = None
    ) -> PutReceipt:
        """Put, or fail."""
        self._maybe_stall("stall")
        if deadline is not None and self.clock.monotonic() > deadline:
            raise DeadlinePassedError(f"The write deadline passed before {key!r} was sent.")
        if self._happens("lost_before"):
            raise AnswerLostError("No answer; it was not applied (planned).")
        if mode is PutMode.CREATE and self._happens("conflict_409"):
            raise PreconditionTrippedError("409 ConditionalRequestConflict (planned).")
        if self.later is not None and self._happens("lands_late"):
            body.seek(0)
            data = body.read()
            self.later(
                self.latest * self.chance.random(),
                lambda: _ignore(lambda: self.inner.put(key, io.BytesIO(data), mode=mode, attributes=attributes)),
            )
            raise AnswerLostError("No answer; it lands later (planned).")
        receipt = self.inner.put(key, body, mode=mode, attributes=attributes)
        if mode is PutMode.CREATE and self._happens("meets_itself"):
            raise PreconditionTrippedError("412 at the client's own retry (planned).")
        if self._happens("lost_after"):
            raise AnswerLostError("No answer; it was applied (planned).")
        self._maybe_stall("stall_after")
        return receipt

    def get(self, key: str, *, start: int = 0, end: int | None = None) -> Download:
        """Get, or fail, or break off."""
        self._before()
        download = self.inner.get(key, start=start, end=end)
        if self._happens("broken_body"):
            return _BreakingDownload(download, self.chance.randrange(download.head.info.size + 1))
        return download

    def head(self, key: str) -> ObjectHead:
        """Head, or fail."""
        self._before()
        return self.inner.head(key)

    def list(
        self, prefix: str, *, delimiter: str = "", start_after: str = "", token: str = "", limit: int = 1000
    ) -> ListPage:
        """List, or fail."""
        self._before()
        page = self.inner.list(prefix, delimiter=delimiter, start_after=start_after, token=token, limit=limit)
        self._maybe_stall("stall_after")
        return page

    def delete(self, keys: Sequence[str]) -> Sequence[DeleteFailure]:
        """Delete, or fail, before or after it was applied."""
        self._before()
        failures = self.inner.delete(keys)
        if self._happens("no_answer"):
            raise UnreachableError("No answer; it was applied (planned).")
        return failures

    def begin_upload(self, key: str, *, attributes: Attributes) -> str:
        """Begin, or fail."""
        self._before()
        return self.inner.begin_upload(key, attributes=attributes)

    def put_part(self, key: str, upload_id: str, number: int, data: bytes) -> str:
        """Put a part, or fail."""
        self._before()
        return self.inner.put_part(key, upload_id, number, data)

    def complete_upload(self, key: str, upload_id: str, etags: Sequence[str]) -> PutReceipt:
        """Complete, or lose the answer."""
        self._maybe_stall("stall")
        receipt = self.inner.complete_upload(key, upload_id, etags)
        if self._happens("lost_after"):
            raise AnswerLostError("No answer; it was applied (planned).")
        return receipt

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Abort, or fail."""
        self._before()
        self.inner.abort_upload(key, upload_id)

    def unfinished(self, prefix: str) -> Iterator[UnfinishedUpload]:
        """Yield unfinished uploads."""
        self._before()
        return self.inner.unfinished(prefix)

    def move(self, key: str, storage_class: str, *, metadata: Mapping[str, str]) -> PutReceipt:
        """Move an object to another storage class."""
        self._before()
        return self.inner.move(key, storage_class, metadata=metadata)

    def _before(self) -> None:
        self._maybe_stall("stall")
        if self._happens("no_answer"):
            raise UnreachableError("No answer (planned).")

    def _maybe_stall(self, fault: str) -> None:
        if self._happens(fault):
            self.clock.sleep(self.longest_stall * self.chance.random() ** 3)

    def _happens(self, fault: str) -> bool:
        if self.chance.random() >= getattr(self.rates, fault):
            return False
        self.fired[fault] += 1
        return True


def _ignore(action: Callable[[], object]) -> None:
    """Apply a put whose sender no longer listens."""
    try:
        action()
    except StoreError:
        return
