"""What happened last in some streams, and what happens next?

Streams have no order between them, so "last" goes by when each was appended to last, by the store's clock, and before
that by the times of events, by their writers' clocks, which may be wrong or chosen: an event counts as no later than
the one that follows it in its stream. So within a stream the order is exact.

Nothing is passed over but what was appended to a stream right before it was ended: its end is told, and a stream that
was ended is not read.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from consistent_s3.core.errors import UnreachableError
from consistent_s3.eventstore import Event, EventStore, StreamTombstonedError
from consistent_s3.eventstore.keys import Chunk
from consistent_s3.eventstore.names import Stream
from consistent_s3.streams.walking import walk

Told = tuple[Stream, Event | None]
"""An event and its stream; `None` says that the stream was ended."""


@dataclass(slots=True, kw_only=True)
class Tail:
    """Watches some streams, or all of a type, or all."""

    events: EventStore
    streams: Sequence[Stream] = ()
    """Empty for all: then each look costs one LIST for a thousand chunks, else one for each stream."""
    stream_type: str = ""
    seen: dict[Stream, int] = field(default_factory=dict)
    """How far each stream was told; -1 for one that was ended."""

    def last(self, count: int) -> list[Told]:
        """Return the last events, the newest at the end."""
        newest = list(self._newest())
        self.seen = {stream: -1 if chunk.tombstone else chunk.last for stream, chunk in newest}
        going = [(chunk.modified, stream, chunk.last) for stream, chunk in newest if not chunk.tombstone]
        told: list[tuple[datetime, Stream, Event]] = []
        for modified, stream, last in heapq.nlargest(count, going):
            if len(told) == count and (modified, stream) < told[0][:2]:
                break  # neither its events nor those of the streams after it are among the last
            with suppress(StreamTombstonedError):  # ended meanwhile
                told += self._timed(stream, modified, last, count)
            told = sorted(told, key=lambda found: (*found[:2], found[2].position))[-count:]
        return [(stream, event) for _, stream, event in told]

    def _timed(self, stream: Stream, time: datetime, last: int, count: int) -> Iterator[tuple[datetime, Stream, Event]]:
        """Yield a stream's last events, the newest first, each with a time that is not after that of the next."""
        for event in self.events.read(stream.type, stream.id, until=last, backwards=True, limit=count):
            time = time if event.position == last else min(time, event.time)
            yield time, stream, event

    def next(self) -> Iterator[Told]:
        """Yield what was appended since the last look."""
        for stream, chunk in self._newest():
            before = self.seen.get(stream, 0)
            if chunk.tombstone and before >= 0:
                self.seen[stream] = -1
                yield stream, None
            elif not chunk.tombstone and chunk.last > before:
                with suppress(StreamTombstonedError):  # ended meanwhile: the next look tells
                    for event in self.events.read(stream.type, stream.id, after=max(before, 0), until=chunk.last):
                        self.seen[stream] = event.position
                        yield stream, event

    def follow(self, every: timedelta, *, unreachable: Callable[[UnreachableError], object]) -> Iterator[Told]:
        """Yield what is appended, for ever; look now and then. A look that fails is told, and the next one goes on."""
        while True:
            self.events.clock.sleep(every.total_seconds())
            try:
                yield from self.next()
            except UnreachableError as error:
                unreachable(error)

    def _newest(self) -> Iterator[tuple[Stream, Chunk]]:
        if not self.streams:
            for found in walk(self.events, stream_type=self.stream_type):
                if found.chunks:
                    yield found.stream, found.chunks[0]
            return
        for stream in self.streams:
            chunk = self.events.listing.newest(stream)
            if chunk is not None:
                yield stream, chunk
