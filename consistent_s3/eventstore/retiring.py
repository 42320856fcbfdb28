"""Which chunks of a stream may go, and why does each of the others stay?

1. A chunk may go when another covers it: has all its events and more, or the same and a higher chunk version. What was
   covered is in no reader's way, and in no writer's: `grace` counts from when the covering chunk was written, by the
   store's clock, never from its own writing. Until then a reader may be on its way to it, and a stalled writer may
   still send for its key.
2. So all events stay, whatever the retention policy says: only a tombstone ends a stream.
3. Of a stream that was ended all chunks go, when the tombstone is older than `keep_for` and `grace`. A policy without
   rules keeps them, and so does a hold.
4. The tombstone itself stays: it keeps the stream's positions from being used again.

The decision is pure: values in, values with reasons out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from consistent_s3.core.retention import Circumstances, Reason, RetentionPolicy
from consistent_s3.eventstore.keys import Chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Retirement:
    """What is to happen to one chunk."""

    chunk: Chunk
    goes: bool
    reason: Reason
    covering: Chunk | None = None
    """What has its events, if that is why it goes, and they are still wanted."""


def retire(
    chunks: Sequence[Chunk], circumstances: Circumstances, now: datetime, *, grace: timedelta
) -> list[Retirement]:
    """Decide about all chunks of one stream, in the same order. Pure and total."""
    tombstone = next((chunk for chunk in chunks if chunk.tombstone), None)
    ended = None if tombstone is None else _ended(circumstances.policy, now - tombstone.modified, grace)
    young = _coverings(chunks)
    old = _coverings([chunk for chunk in chunks if now - chunk.modified >= grace], of=chunks)
    return [
        _retire(chunk, circumstances, ended=ended, covered=chunk.key in young, covering=old.get(chunk.key))
        for chunk in chunks
    ]


def _retire(
    chunk: Chunk, circumstances: Circumstances, *, ended: Reason | None, covered: bool, covering: Chunk | None
) -> Retirement:
    if chunk.tombstone:
        return Retirement(chunk=chunk, goes=False, reason=Reason.HOLDS_NUMBER)
    if circumstances.holds(chunk.first):
        return Retirement(chunk=chunk, goes=False, reason=Reason.HELD)
    if covering is not None:
        wanted = None if ended is Reason.DELETED else covering
        return Retirement(chunk=chunk, goes=True, reason=Reason.SUPERSEDED, covering=wanted)
    if ended is not None:
        return Retirement(chunk=chunk, goes=ended is Reason.DELETED, reason=ended)
    return Retirement(chunk=chunk, goes=False, reason=Reason.GRACE if covered else Reason.CURRENT)


def _ended(policy: RetentionPolicy, age: timedelta, grace: timedelta) -> Reason:
    """Return what happens to the chunks of a stream that was ended so long ago."""
    if policy.keeps_everything:
        return Reason.NO_POLICY
    if any(one.keep_for is not None and age < one.keep_for for one in policy.each):
        return Reason.KEEP_FOR
    return Reason.GRACE if age < grace else Reason.DELETED


def _coverings(by: Sequence[Chunk], *, of: Sequence[Chunk] | None = None) -> dict[str, Chunk]:
    """Return for each chunk that is covered one that covers it."""
    return dict(_covered(by if of is None else of, by))


def _covered(chunks: Sequence[Chunk], by: Sequence[Chunk]) -> Iterator[tuple[str, Chunk]]:
    others = sorted(by, key=lambda chunk: chunk.first)
    best: Chunk | None = None
    index = 0
    for chunk in sorted(chunks, key=lambda chunk: chunk.first):
        while index < len(others) and others[index].first <= chunk.first:
            if best is None or _reach(others[index]) > _reach(best):
                best = others[index]
            index += 1
        if best is not None and best.key != chunk.key and best.last >= chunk.last and _reach(best) > _reach(chunk):
            yield chunk.key, best


def _reach(chunk: Chunk) -> tuple[int, int, int]:
    """Return what of two chunks that begin at a position or before says which shows more, and then which is newer."""
    return chunk.last, chunk.count, chunk.version
