"""Which streams are there, and what is done with many of them, one after the other?

All chunks of a stream are neighbours in the bucket's listing, so one LIST for a thousand chunks shows which streams
need something, and only these are asked for more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from consistent_s3.core.errors import ConsistentS3Error, UnreachableError
from consistent_s3.core.span import Span
from consistent_s3.eventstore import EventStore
from consistent_s3.eventstore.collecting import StreamSurvey, stream_named
from consistent_s3.eventstore.compacting import MOST, Compaction, check, group
from consistent_s3.eventstore.cover import cover
from consistent_s3.eventstore.keys import Chunk, parse_chunk
from consistent_s3.eventstore.names import Stream

LEAST = 10
"""Chunks that must have become needless before a stream is compacted along with all others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A stream with all its chunks."""

    stream: Stream
    chunks: list[Chunk]
    """Newest first."""
    end: str
    """The place after it: whoever begins there comes to the next."""


def walk(events: EventStore, *, stream_type: str = "", after: str = "") -> Iterator[Found]:
    """Yield all streams, or those of a type, in the order of their keys, after a place: a LIST for a thousand chunks.

    Raises: `InvalidNameError` for a type that is none.
    """
    first = events.listing.layout.types_prefix(Stream(stream_type, "any").type) if stream_type else ""
    until = f"{first[:-1]}0" if first else ""  # "0" follows "/"
    survey = StreamSurvey(listing=events.listing, clock=events.clock)
    for found in survey.groups(Span(after=max(after, first), until=until)):
        if found.name:
            chunks = [chunk for _, info in found.versions if (chunk := parse_chunk(info)) is not None]
            yield Found(stream=stream_named(found.name), chunks=chunks, end=found.end)


@dataclass(slots=True, kw_only=True)
class Compacted:
    """What came of compacting many streams."""

    dry_run: bool = False
    streams: int = 0
    """Streams that were looked at."""
    compacted: int = 0
    """Streams with something that is covered now."""
    covered: int = 0
    """Chunks that are covered now, and left for the collector."""
    written: int = 0
    """Chunks that cover them."""
    failures: dict[str, str] = field(default_factory=dict)
    """What is wrong with streams that could not be compacted, by their names."""
    rest: str = ""
    """The place where to go on, if the time was over; empty at the end."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, fit for JSON and for a Celery result."""
        return {name: getattr(self, name) for name in type(self).__slots__}

    def count(self, done: Compaction) -> None:
        """Count what came of one stream."""
        self.compacted += bool(done.written)
        self.covered += done.covered
        self.written += len(done.written)


def compact_all(
    events: EventStore,
    *,
    stream_type: str = "",
    after: str = "",
    most: int = MOST,
    least: int = LEAST,
    storage_class: str = "",
    dry_run: bool = False,
    seconds: float | None = None,
    tell: Callable[[Stream, Compaction], object] | None = None,
) -> Compacted:
    """Compact the streams in which at least `least` chunks would be covered; see `EventStore.compact`.

    Idempotent, and safe in as many processes as one likes. After `seconds` the stream that was begun is finished, and
    `rest` is where to go on. A stream that cannot be compacted is told and stops no other.

    Raises: `PolicyError` before any request; what the store raises where it cannot be listed or reached.
    """
    check(most, storage_class)
    result = Compacted(dry_run=dry_run)
    begun, place = events.clock.monotonic(), after
    for found in walk(events, stream_type=stream_type, after=after):
        if seconds is not None and result.streams and events.clock.monotonic() - begun >= seconds:
            result.rest = place
            break
        result.streams += 1
        if coverable(found.chunks, most=most) >= least:
            stream = found.stream
            try:
                done = events.compact(stream.type, stream.id, most=most, storage_class=storage_class, dry_run=dry_run)
            except UnreachableError:
                raise
            except ConsistentS3Error as error:
                result.failures[stream.name] = str(error)
            else:
                result.count(done)
                if tell is not None:
                    tell(stream, done)
        place = found.end
    return result


def coverable(chunks: list[Chunk], *, most: int) -> int:
    """Return how many chunks of a stream would be covered, by what is listed; 0 for one that was ended."""
    if any(chunk.tombstone for chunk in chunks):
        return 0
    pieces = cover(chunks, first=1, last=max((chunk.last for chunk in chunks), default=0)).pieces
    return sum(len(found) for found in group(pieces[:-1], most=most))
