"""How are the events of a range read, while others append, compact and collect?

1. The range ends where the stream ended when reading began: at most one LIST for a thousand chunks, one GET for each
   chunk that the range needs, several at a time. Only the chunks of the range are fetched.
2. Every position of the range is yielded once, in order, whatever chunks show it (see `cover`).
3. A chunk may be gone at its GET: covered by another, and collected. Then list again and go on from the position
   reached. A chunk that the listing names and the store denies for as long as `patience` is an error, and so is a gap
   that stays. Nothing is ever passed over.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import Any

from consistent_s3.core.errors import ConsistentS3Error, KeyMissingError, NotYetVisibleError
from consistent_s3.core.protocol import Timing
from consistent_s3.core.seams import Clock
from consistent_s3.eventstore.bodies import Body
from consistent_s3.eventstore.cover import Piece, cover
from consistent_s3.eventstore.errors import StreamGapError
from consistent_s3.eventstore.fetching import Fetcher
from consistent_s3.eventstore.keys import Chunk
from consistent_s3.eventstore.listing import PAGE, StreamListing
from consistent_s3.eventstore.measuring import COLLECTED_MEANWHILE, VersionTeller, never_shown
from consistent_s3.eventstore.names import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Which events are wanted."""

    first: int = 1
    last: int | None = None
    """`None` for as far as the stream goes."""
    limit: int | None = None
    """At most so many, from the end where reading begins."""
    backwards: bool = False

    def within(self, version: int) -> Range:
        """Return the same of a stream with so many events: with a last position, and without a limit."""
        first, last = self.first, version if self.last is None else min(self.last, version)
        if self.limit is not None and self.backwards:
            first = max(first, last - self.limit + 1)
        elif self.limit is not None:
            last = min(last, first + self.limit - 1)
        return replace(self, first=first, last=last, limit=None)

    @property
    def end(self) -> int:
        """Return the last position of a range that is `within` a stream."""
        return self.last or 0

    @property
    def is_empty(self) -> bool:
        """Return whether no event is in a range that is `within` a stream."""
        return self.first > self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What the listing says of a range."""

    wanted: Range
    """The range as far as the stream goes."""
    pieces: Sequence[Piece]
    """What shows it, in ascending order."""
    chunks: Sequence[Chunk]
    """All chunks that were listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamReader:
    """Reads the events of streams, as JSON holds them."""

    listing: StreamListing
    fetcher: Fetcher
    teller: VersionTeller
    timing: Timing
    clock: Clock
    chance: random.Random

    def read(self, stream: Stream, wanted: Range) -> Iterator[tuple[int, Any]]:
        """Yield positions and events. Raises: as `bodies`."""
        with closing(self.bodies(stream, wanted)) as bodies:
            for piece, body in bodies:
                positions = range(piece.first, piece.last + 1)
                for position in reversed(positions) if wanted.backwards else positions:
                    yield position, body.events[position - body.first]

    def bodies(self, stream: Stream, wanted: Range) -> Generator[tuple[Piece, Body], None, None]:
        """Yield what shows the events of a range, in order, whole chunks and which of their events are meant.

        Raises: `StreamTombstonedError`, `StreamGapError`, `NotYetVisibleError`, `DamagedStreamError`.
        """
        missing: dict[str, float] = {}
        begun = False
        while True:
            left = wanted
            survey = self.plan(stream, wanted)
            wanted, pieces = survey.wanted, survey.pieces
            if begun and not pieces:
                raise self._gap(stream, left.first)
            begun = True
            self._wait_for(stream, pieces, missing)
            if wanted.backwards:
                pieces = pieces[::-1]
            reached = 0
            with closing(self.fetcher.fetch_all(stream, pieces)) as fetching:
                try:
                    for piece, body in fetching:
                        yield piece, body
                        wanted = _past(wanted, piece)
                        reached += 1
                except KeyMissingError:
                    missing.setdefault(pieces[reached].chunk.key, self.clock.monotonic())
                    continue
            return

    def plan(self, stream: Stream, wanted: Range) -> Survey:
        """Return what shows a range, as far as the stream goes; LIST requests only. Raises `StreamGapError`."""
        problem: ConsistentS3Error = never_shown(stream)
        for tries in range(1, COLLECTED_MEANWHILE + 1):
            with suppress(KeyMissingError):  # the newest chunk was written again, and collected meanwhile
                survey, gap = self._survey(stream, wanted)
                if not gap:
                    return survey
                problem = self._gap(stream, gap)
            if tries < COLLECTED_MEANWHILE:
                self.clock.sleep(0.1 * tries * (0.5 + self.chance.random()))
        raise problem

    def _survey(self, stream: Stream, wanted: Range) -> tuple[Survey, int]:
        # Backwards, and of few events, the first page shows enough; else all that a LIST can show.
        limit = min(PAGE, wanted.limit + 1) if wanted.backwards and wanted.limit is not None else PAGE
        chunks: list[Chunk] = []
        known = False
        pages = self.listing.pages(stream, limit=limit)
        while (page := next(pages, None)) is not None:
            if not page:
                continue
            if not known:
                known = True
                wanted = wanted.within(self.teller.version(page[0], stream))
                if wanted.is_empty:
                    return Survey(wanted=wanted, pieces=(), chunks=()), 0
                if page[-1].first > wanted.end:  # the range begins further down: do not list what is above
                    pages = self.listing.pages(stream, start_after=self.listing.layout.below(stream, wanted.end))
            chunks += page
            if page[-1].first <= wanted.first:
                found = cover(chunks, first=wanted.first, last=wanted.end)
                if not found.gap:
                    return Survey(wanted=wanted, pieces=found.pieces, chunks=tuple(chunks)), 0
        if not known:
            return Survey(wanted=replace(wanted, last=0, limit=None), pieces=(), chunks=()), 0
        found = cover(chunks, first=wanted.first, last=wanted.end)
        return Survey(wanted=wanted, pieces=found.pieces, chunks=tuple(chunks)), found.gap

    def _wait_for(self, stream: Stream, pieces: Sequence[Piece], missing: dict[str, float]) -> None:
        """Wait a little if a chunk is listed again that was gone; an error after `patience`."""
        again = next((piece.chunk.key for piece in pieces if piece.chunk.key in missing), None)
        if again is None:
            return
        waited = self.clock.monotonic() - missing[again]
        if waited > self.timing.patience.total_seconds():
            raise NotYetVisibleError(
                f"Stream {stream.name!r} has a chunk {again!r} that is listed, but the store does not show it after "
                f"{self.timing.patience}. Its LIST or GET is not strongly consistent: streams are not safe there."
            )
        self.clock.sleep(min(0.05 + waited, 5.0) * (0.5 + self.chance.random()))

    def _gap(self, stream: Stream, position: int) -> StreamGapError:
        return StreamGapError(
            f"Event {position} of stream {stream.name!r} is gone: no chunk in the bucket has it, although the stream "
            "went on after it. Something else than this project has deleted it. Restore the object from a backup."
        )


def _past(wanted: Range, piece: Piece) -> Range:
    """Return what is left of a range after a piece."""
    if wanted.backwards:
        return replace(wanted, last=piece.first - 1)
    return replace(wanted, first=piece.last + 1)
