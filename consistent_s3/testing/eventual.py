"""A store that shows old things: S3 before December 2020, StorageGRID, Swift, replicated buckets, a CDN in front.

Several replicas, and each request meets one of them by chance. What a replica does not know yet it answers from what
it knew: a listing without the new key or with the deleted one, the bytes before an overwrite, an object that is
deleted. A key that was asked for before it existed is remembered as absent.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from io import BytesIO
from typing import BinaryIO

from consistent_s3.core.errors import KeyMissingError, PreconditionTrippedError
from consistent_s3.core.seams import (
    Attributes,
    Clock,
    DeleteFailure,
    Download,
    ListPage,
    ObjectHead,
    ObjectInfo,
    PutMode,
    PutReceipt,
    UnfinishedUpload,
)
from consistent_s3.testing.memory import MemoryDownload, MemoryObjectStore


class Conditions(Enum):
    """What a store does with `If-None-Match: *`."""

    HONOURED = "honoured"
    IGNORED = "ignored"
    RACED = "raced"
    """Checked, and acted upon a moment later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How a store behaves. Delays are the most seconds it takes a replica to notice; each is drawn up to that."""

    name: str
    list_delay: float = 0.0
    """Until a listing shows a new key, or hides a deleted one."""
    overwrite_delay: float = 0.0
    """Until a get shows the new bytes of a key that existed."""
    create_delay: float = 0.0
    """Until a get shows a key that never existed: 0 where new objects are read after write."""
    delete_delay: float = 0.0
    """Until a get no longer shows a deleted key."""
    absence: float = 0.0
    """How long a 404 is remembered."""
    conditions: Conditions = Conditions.HONOURED
    ordered: bool = True
    """Whether listings are in key order."""
    replicas: int = 2
    """How many there are; each request meets one by chance."""


MODERN = Profile(name="modern S3")
S3_2019 = Profile(
    name="S3 of 2019",
    list_delay=60,
    overwrite_delay=60,
    delete_delay=60,
    absence=60,
    conditions=Conditions.IGNORED,
)
STORAGEGRID = Profile(name="StorageGRID default", overwrite_delay=30, delete_delay=30, absence=30)
SWIFT = Profile(name="Swift", list_delay=120, conditions=Conditions.RACED)
EXPRESS = Profile(name="S3 Express", ordered=False)
REPLICATED = Profile(
    name="replicated bucket", list_delay=900, overwrite_delay=900, create_delay=10, delete_delay=900, absence=10
)
IGNORES = Profile(name="ignores preconditions", conditions=Conditions.IGNORED)
RACES = Profile(name="races preconditions", conditions=Conditions.RACED)

PROFILES = (MODERN, S3_2019, STORAGEGRID, SWIFT, EXPRESS, REPLICATED, IGNORES, RACES)


@dataclass(slots=True)
class _Event:
    """A put or a delete, and when each replica notices it."""

    head: ObjectHead | None
    data: bytes
    listed: tuple[float, ...]
    read: tuple[float, ...]


@dataclass(slots=True, kw_only=True)
class EventuallyConsistent:
    """An `ObjectStore` that behaves as a profile says.

    Guarantees: whatever a replica shows was true once; an object appears whole; a key that never existed and was never
    asked for is shown `create_delay` seconds after its put at the latest.
    """

    inner: MemoryObjectStore
    """What is true."""
    clock: Clock
    chance: random.Random
    profile: Profile
    fired: Counter[str] = field(default_factory=Counter)
    """How often an answer was old: `stale list`, `stale get`, `remembered absence`, `overwritten`."""
    _events: dict[str, list[_Event]] = field(default_factory=lambda: defaultdict(list))
    _absent: dict[tuple[int, str], float] = field(default_factory=dict)

    def put(
        self, key: str, body: BinaryIO, *, mode: PutMode, attributes: Attributes, deadline: float | None = None
    ) -> PutReceipt:
        """Put, with the condition honoured, ignored or raced."""
        conditions = self.profile.conditions
        if mode is PutMode.CREATE and conditions is Conditions.RACED:
            if key in self.inner.keys:
                raise PreconditionTrippedError(f"The precondition to write {key!r} did not hold: PreconditionFailed.")
            self.clock.sleep(0.002 * self.chance.random())
        if mode is PutMode.CREATE and conditions is not Conditions.HONOURED:
            self.fired["overwritten"] += key in self.inner.keys
            mode = PutMode.OVERWRITE
        existed = bool(self._events[key])
        receipt = self.inner.put(key, body, mode=mode, attributes=attributes, deadline=deadline)
        body.seek(0)
        delay = self.profile.overwrite_delay if existed else self.profile.create_delay
        self._note(key, self.inner.head(key), body.read(), delay)
        return receipt

    def get(self, key: str, *, start: int = 0, end: int | None = None) -> Download:
        """Get what one of the replicas shows."""
        head, data = self._shown(key)
        return MemoryDownload(head, BytesIO(data[start:end]))

    def head(self, key: str) -> ObjectHead:
        """Head what one of the replicas shows."""
        return self._shown(key)[0]

    def list(
        self, prefix: str, *, delimiter: str = "", start_after: str = "", token: str = "", limit: int = 1000
    ) -> ListPage:
        """List what one of the replicas knows."""
        replica, now = self._replica(), self.clock.monotonic()
        entries: dict[str, ObjectInfo | None] = {}
        for key, events in self._events.items():
            if not (events and key.startswith(prefix)):
                continue
            known = next((event for event in reversed(events) if event.listed[replica] <= now), None)
            self.fired["stale list"] += known is not events[-1]
            if known is None or known.head is None:
                continue
            segment, folded, _ = key.removeprefix(prefix).partition(delimiter) if delimiter else (key, "", "")
            entry = prefix + segment + folded if folded else key
            entries[entry] = None if folded else known.head.info
        after = (token or start_after).encode()
        ordered = sorted((entry for entry in entries if entry.encode() > after), key=str.encode)
        page = ordered[:limit]
        if not self.profile.ordered and not delimiter:
            page = self.chance.sample(ordered, min(limit, len(ordered))) if limit < len(ordered) else page
        return ListPage(
            objects=tuple(info for entry in page if (info := entries[entry]) is not None),
            prefixes=tuple(entry for entry in page if entries[entry] is None),
            token=page[-1] if len(ordered) > limit and self.profile.ordered else "",
        )

    def delete(self, keys: Sequence[str]) -> Sequence[DeleteFailure]:
        """Delete; replicas notice later."""
        failures = self.inner.delete(keys)
        for key in keys:
            if self._events[key] and self._events[key][-1].head is not None:
                self._note(key, None, b"", self.profile.delete_delay)
        return failures

    def begin_upload(self, key: str, *, attributes: Attributes) -> str:
        """Begin an upload."""
        return self.inner.begin_upload(key, attributes=attributes)

    def put_part(self, key: str, upload_id: str, number: int, data: bytes) -> str:
        """Put a part."""
        return self.inner.put_part(key, upload_id, number, data)

    def complete_upload(self, key: str, upload_id: str, etags: Sequence[str]) -> PutReceipt:
        """Complete an upload; replicas notice as after a put."""
        receipt = self.inner.complete_upload(key, upload_id, etags)
        download = self.inner.get(key)
        self._note(key, download.head, download.read(-1), self.profile.create_delay)
        return receipt

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Abort an upload."""
        self.inner.abort_upload(key, upload_id)

    def unfinished(self, prefix: str) -> Iterator[UnfinishedUpload]:
        """Yield unfinished uploads."""
        return self.inner.unfinished(prefix)

    def move(self, key: str, storage_class: str, *, metadata: Mapping[str, str]) -> PutReceipt:
        """Move an object to another storage class."""
        receipt = self.inner.move(key, storage_class, metadata=metadata)
        download = self.inner.get(key)
        self._note(key, download.head, download.read(-1), self.profile.overwrite_delay)
        return receipt

    def _note(self, key: str, head: ObjectHead | None, data: bytes, read_delay: float) -> None:
        self._events[key].append(
            _Event(head, data, listed=self._times(self.profile.list_delay), read=self._times(read_delay))
        )

    def _times(self, most: float) -> tuple[float, ...]:
        """Return when each replica notices; most notice soon, some late."""
        now = self.clock.monotonic()
        return tuple(now + most * self.chance.random() ** 4 for _ in range(self.profile.replicas))

    def _replica(self) -> int:
        return self.chance.randrange(self.profile.replicas)

    def _shown(self, key: str) -> tuple[ObjectHead, bytes]:
        replica, now = self._replica(), self.clock.monotonic()
        events = self._events[key]
        if self._absent.get((replica, key), -1.0) > now:
            self.fired["remembered absence"] += bool(events)
            raise KeyMissingError(f"There is no object {key!r}.")
        known = next((event for event in reversed(events) if event.read[replica] <= now), None)
        self.fired["stale get"] += bool(events) and known is not events[-1]
        if known is None or known.head is None:
            if self.profile.absence:
                self._absent[replica, key] = now + self.profile.absence * self.chance.random()
            raise KeyMissingError(f"There is no object {key!r}.")
        return known.head, known.data
