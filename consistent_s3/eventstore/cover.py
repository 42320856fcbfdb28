"""Which chunks does a reader need, each for which events, so that there is no gap and no event twice?

Events never change, so whichever chunk shows an event, it is the same event. Chunks may overlap in any way: what was
covered and not collected yet, what two compactions wrote at once. So a reader goes from position to position, and takes
each time the chunk that reaches furthest; of those that reach equally far, the highest chunk version. No other choice
needs fewer chunks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from consistent_s3.eventstore.keys import Chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some events of a chunk: those from position `first` to `last`, both included."""

    chunk: Chunk
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """What shows the events of a range, in order."""

    pieces: tuple[Piece, ...]
    gap: int = 0
    """The first position that no chunk shows; 0 if there is none."""


def cover(chunks: Iterable[Chunk], *, first: int, last: int) -> Cover:
    """Return pieces that hold every position from `first` to `last` once, as far as the first gap. Pure."""
    ordered = sorted((chunk for chunk in chunks if chunk.count and chunk.last >= first), key=lambda chunk: chunk.first)
    pieces: list[Piece] = []
    position, index = first, 0
    best: Chunk | None = None
    while position <= last:
        while index < len(ordered) and ordered[index].first <= position:
            chunk = ordered[index]
            if best is None or (chunk.last, chunk.version) > (best.last, best.version):
                best = chunk
            index += 1
        if best is None or best.last < position:
            return Cover(pieces=tuple(pieces), gap=position)
        pieces.append(Piece(chunk=best, first=position, last=min(best.last, last)))
        position = best.last + 1
    return Cover(pieces=tuple(pieces))
