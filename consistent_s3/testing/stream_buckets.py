"""A bucket in memory that watches the chunks which come into it and go: what is true of its streams, and was always.

1. Whatever is written, every position keeps the event that it had first, whole.
2. A chunk is deleted only when others, each written `grace` ago or longer, show all its events; those of an ended
   stream go when its tombstone is as old.
3. A key that was collected is not written again: whoever listed it long ago would meet other bytes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, BinaryIO

from consistent_s3.core.seams import Attributes, DeleteFailure, ObjectInfo, PutMode, PutReceipt
from consistent_s3.eventstore.bodies import unpack
from consistent_s3.eventstore.keys import Chunk, StreamLayout
from consistent_s3.eventstore.names import Stream
from consistent_s3.testing.memory import MemoryObjectStore


@dataclass(slots=True)
class WatchedBucket(MemoryObjectStore):
    """A `MemoryObjectStore` that keeps account of the event store below a prefix."""

    prefix: str = ""
    grace: timedelta = timedelta(0)
    written: defaultdict[str, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))
    """For each stream the id of the event at each position."""
    violations: list[str] = field(default_factory=list)
    happened: Counter[str] = field(default_factory=Counter)
    """How many chunks were `appended`, `written again`, `collected` ..."""
    _events: dict[tuple[str, int], Any] = field(default_factory=dict)
    """What was written first, by stream and position."""
    _chunks: defaultdict[Stream, dict[str, Chunk]] = field(default_factory=lambda: defaultdict(dict))
    _gone: set[str] = field(default_factory=set)

    def put(
        self, key: str, body: BinaryIO, *, mode: PutMode, attributes: Attributes, deadline: float | None = None
    ) -> PutReceipt:
        """Write one object, and note what it says."""
        receipt = MemoryObjectStore.put(self, key, body, mode=mode, attributes=attributes, deadline=deadline)
        body.seek(0)
        self._note(key, body.read(), receipt)
        return receipt

    def delete(self, keys: Sequence[str]) -> Sequence[DeleteFailure]:
        """Delete keys, and say which should not have been."""
        for key in keys:
            if key in self._objects:
                self._judge(key)
                self._gone.add(key)
        return MemoryObjectStore.delete(self, keys)

    def _note(self, key: str, data: bytes, receipt: PutReceipt) -> None:
        info = ObjectInfo(key=key, size=len(data), etag=receipt.etag, modified=receipt.modified)
        parsed = StreamLayout(self.prefix).parse(info)
        if parsed is None:
            return
        stream, chunk = parsed
        if key in self._gone:
            self.violations.append(f"{key} was written again after it was collected")
        body = unpack(data, stream, chunk)
        self._chunks[stream][key] = chunk
        self.happened[_kind(chunk)] += 1
        self.happened["snapshots"] += len(body.snapshots)
        kept = self.written[stream.name]
        for position, event in enumerate(body.events, start=chunk.first):
            kept.setdefault(position, event["id"])
            first = self._events.setdefault((stream.name, position), event)
            if first != event:
                self.violations.append(f"{key} has {event} at {position}, where {first} was written before")

    def _judge(self, key: str) -> None:
        """Rule 2."""
        parsed = StreamLayout(self.prefix).parse(self.head(key).info)
        if parsed is None:
            return
        stream, chunk = parsed
        chunks = self._chunks[stream]
        del chunks[key]
        shown = {position for other in self._old(chunks) for position in range(other.first, other.last + 1)}
        ended = any(other.tombstone for other in self._old(chunks))
        self.happened["collected of an ended stream" if ended else "collected"] += 1
        missing = [position for position in range(chunk.first, chunk.last + 1) if position not in shown]
        if chunk.tombstone or (missing and not ended):
            self.violations.append(f"{key} was collected, and nothing as old as grace shows its events {missing}")

    def _old(self, chunks: dict[str, Chunk]) -> Iterator[Chunk]:
        """Yield what is as old as grace; S3 tells times in whole seconds."""
        latest = self.clock.now() - self.grace + timedelta(seconds=1)
        return (chunk for chunk in chunks.values() if chunk.modified <= latest)


def _kind(chunk: Chunk) -> str:
    if chunk.tombstone:
        return "tombstones"
    return "written again" if chunk.version else "appended"
