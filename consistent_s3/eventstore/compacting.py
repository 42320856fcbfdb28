"""How do many small chunks become one, while others append, read and fold?

1. Chunks that follow one another are written again as one that covers them, with a chunk version above theirs. Nothing
   is deleted: that is the collector's (see `collecting`), after `grace`. Until then readers find both, and take one.
2. The newest chunk is left alone, so that the first key of a listing stays that of the last event (see `keys`), and
   appends go on undisturbed.
3. A covering chunk has at most `most` events and `MOST_BYTES` of JSON, and at least twice as many events as the largest
   that it covers. So an event is written again at most ten times where `most` is a thousand, however often a stream is
   compacted, and a stream that is compacted often has few chunks. A listing tells only compressed bytes: that chunks
   are too large together may show only as they are read.
4. Whoever meets another's covering chunk, gets no answer, or takes so long that a key which was free when the stream
   was listed may have been used and collected since, has lost nothing: the next compaction goes on.
5. A covering chunk carries the newest snapshots of what it covers, and may be in a colder storage class than new
   events.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from consistent_s3.core.errors import (
    AnswerLostError,
    DeadlinePassedError,
    KeyMissingError,
    PolicyError,
    PreconditionTrippedError,
)
from consistent_s3.core.protocol import Timing
from consistent_s3.core.retention import STORAGE_CLASS
from consistent_s3.core.seams import Attributes, Clock, ObjectStore, PutMode
from consistent_s3.eventstore.bodies import CONTENT_TYPE, Body, KeptSnapshot, as_json, pack
from consistent_s3.eventstore.cover import Piece
from consistent_s3.eventstore.fetching import Fetcher
from consistent_s3.eventstore.folding import newest_snapshots
from consistent_s3.eventstore.keys import Chunk, StreamLayout
from consistent_s3.eventstore.names import Stream
from consistent_s3.eventstore.reading import Range, StreamReader

MOST = 1000
"""Events in a covering chunk, unless told otherwise."""
MOST_ALLOWED = 10_000
"""Events in a covering chunk that may be asked for."""
MOST_BYTES = 16 * 1024**2
"""Bytes of JSON of what one chunk covers; stored, it is less."""
NOT_READABLE = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Storage classes whose objects must be restored before they can be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compaction:
    """What came of compacting a stream."""

    chunks: int
    """Chunks that were needed to read the stream before."""
    covered: int = 0
    """How many of them are covered now."""
    events: int = 0
    """Events in the covering chunks."""
    written: tuple[str, ...] = ()
    """The keys of the covering chunks."""
    dry_run: bool = False
    """Nothing was written: this is what would be, as far as the listing tells."""

    def with_cover(self, pieces: Sequence[Piece], key: str) -> Compaction:
        """Return the same with one more covering chunk."""
        return replace(
            self,
            covered=self.covered + len(pieces),
            events=self.events + pieces[-1].last - pieces[0].first + 1,
            written=(*self.written, key),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What a piece holds."""

    piece: Piece
    events: Sequence[str]
    """Each as JSON."""
    snapshots: Sequence[KeptSnapshot]


def _part(piece: Piece, body: Body) -> _Part:
    inside = body.events[piece.first - body.first : piece.last - body.first + 1]
    snapshots = [kept for kept in body.snapshots if piece.first <= kept.position <= piece.last]
    return _Part(piece=piece, events=[as_json(event) for event in inside], snapshots=snapshots)


def group(pieces: Sequence[Piece], *, most: int) -> list[list[Piece]]:
    """Return which pieces, in order, are to be covered by one chunk each. Pure."""
    groups: list[list[Piece]] = []
    current: list[Piece] = []
    events = size = 0
    for piece in pieces:
        count = piece.last - piece.first + 1
        large = 2 * count > most or 2 * piece.chunk.size > MOST_BYTES
        if large or events + count > most or size + piece.chunk.size > MOST_BYTES:
            groups.append(current)
            current, events, size = [], 0, 0
        if not large:
            current.append(piece)
            events, size = events + count, size + piece.chunk.size
    return [worth for found in [*groups, current] for worth in _worth(found)]


def _worth(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Return what of some neighbours is worth covering: not one that is larger than all the others together."""
    if len(pieces) < 2:
        return []
    counts = [piece.last - piece.first + 1 for piece in pieces]
    largest = max(counts)
    if 2 * largest <= sum(counts):
        return [list(pieces)]
    place = counts.index(largest)
    return [*_worth(pieces[:place]), *_worth(pieces[place + 1 :])]


def _worth_covering(parts: Sequence[_Part]) -> Iterator[list[_Part]]:
    """Yield what of some neighbours, which fit into one chunk, is worth covering."""
    held = {part.piece: part for part in parts}
    for pieces in _worth(list(held)):
        yield [held[piece] for piece in pieces]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compactor:
    """Writes covering chunks."""

    store: ObjectStore
    layout: StreamLayout
    reader: StreamReader
    fetcher: Fetcher
    timing: Timing
    clock: Clock
    extra: Mapping[str, object]

    def compact(self, stream: Stream, *, most: int, storage_class: str, dry_run: bool) -> Compaction:
        """Cover what is worth it."""
        check(most, storage_class)
        deadline = self.clock.monotonic() + self.timing.rewritable.total_seconds()
        survey = self.reader.plan(stream, Range())
        done = Compaction(chunks=len(survey.pieces), dry_run=dry_run)
        for pieces in group(survey.pieces[:-1], most=most):
            if dry_run:
                done = done.with_cover(pieces, self._key(stream, pieces, survey.chunks))
                continue
            for parts in self._read(stream, pieces):
                covered = [part.piece for part in parts]
                key = self._key(stream, covered, survey.chunks)
                if self._cover(stream, parts, key, storage_class, deadline=deadline):
                    done = done.with_cover(covered, key)
        return done

    def _key(self, stream: Stream, pieces: Sequence[Piece], chunks: Sequence[Chunk]) -> str:
        first, last = pieces[0].first, pieces[-1].last
        overlapping = [chunk.version for chunk in chunks if chunk.first <= last and first <= chunk.last]
        return self.layout.chunk_key(stream, first, version=max(overlapping) + 1, count=last - first + 1)

    def _read(self, stream: Stream, pieces: Sequence[Piece]) -> Iterator[list[_Part]]:
        """Yield what some neighbours hold, as far as it is covered by one chunk."""
        parts: list[_Part] = []
        size = 0
        try:
            for piece, body in self.fetcher.fetch_all(stream, pieces):
                if size + body.size > MOST_BYTES:
                    yield from _worth_covering(parts)
                    parts, size = [], 0
                parts.append(_part(piece, body))
                size += body.size
        except KeyMissingError:  # somebody else has covered it, and the collector was here
            return
        yield from _worth_covering(parts)

    def _cover(self, stream: Stream, parts: Sequence[_Part], key: str, storage_class: str, *, deadline: float) -> bool:
        """Write one covering chunk; return whether it is certainly there."""
        events = [event for part in parts for event in part.events]
        snapshots = newest_snapshots(*(part.snapshots for part in parts))
        data = pack(stream, parts[0].piece.first, events, snapshots=snapshots)
        extra = {**self.extra, "StorageClass": storage_class} if storage_class else self.extra
        try:
            self.store.put(
                key,
                io.BytesIO(data),
                mode=PutMode.CREATE,
                attributes=Attributes(content_type=CONTENT_TYPE, extra=extra),
                deadline=deadline,
            )
        except (PreconditionTrippedError, AnswerLostError, DeadlinePassedError):
            return False
        return True


def check(most: int, storage_class: str) -> None:
    """Raise `PolicyError` for what no stream can be compacted with."""
    if not 2 <= most <= MOST_ALLOWED:
        raise PolicyError(f"most is {most}. Let a chunk cover 2 to {MOST_ALLOWED} events.")
    if storage_class and not STORAGE_CLASS.fullmatch(storage_class):
        raise PolicyError(
            f"storage_class is {storage_class!r}, which is no storage class. Their names are words of capital letters, "
            "for example 'STANDARD_IA'."
        )
    check_readable(storage_class, "storage_class")


def check_readable(storage_class: str, what: str) -> None:
    """Refuse a storage class whose objects cannot be read at once. Raises `PolicyError`."""
    if storage_class in NOT_READABLE:
        raise PolicyError(
            f"{what} is {storage_class!r}, whose objects cannot be read at once, and streams are read from "
            "their beginning. Choose another, for example 'GLACIER_IR'."
        )
