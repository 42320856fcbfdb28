"""Does a stream hold what it should? Every chunk is read, also those that no reader needs any more.

1. There is no gap: each position up to the version is in some chunk, unless the stream was ended.
2. What a chunk holds is what its key and its size tell, and every event can be read.
3. Chunks that overlap show the same event at the same position, and no id is there twice.
4. Nothing comes after a tombstone.
5. Where a fold is given, each snapshot with its schema version is what folding all events up to it gives, and is read
   back as that.

Nothing is changed. One LIST for a thousand chunks, one GET for each; with a fold the events are read a second time.
Memory holds some 200 bytes for an event.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from consistent_s3.core.errors import ConsistentS3Error, KeyMissingError
from consistent_s3.eventstore.bodies import Body, event_at
from consistent_s3.eventstore.cover import cover
from consistent_s3.eventstore.errors import DamagedStreamError, InvalidEventError, StreamTombstonedError
from consistent_s3.eventstore.events import Event
from consistent_s3.eventstore.keys import Chunk
from consistent_s3.eventstore.names import Stream
from consistent_s3.eventstore.serializing import encoded_state
from consistent_s3.eventstore.store import EventStore

MOST_PROBLEMS = 100
"""Problems of one stream that are told one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folding:
    """How the project folds a stream."""

    fold: Callable[[Any, Event], Any]
    initial: Any
    schema_version: int | str


@dataclass(slots=True, kw_only=True)
class Verified:
    """What was found."""

    stream: Stream
    version: int = 0
    """The position of the last event, also of a stream that was ended."""
    chunks: int = 0
    snapshots: int = 0
    """Snapshots that were compared with what folding gives."""
    ended: bool = False
    problems: list[str] = field(default_factory=list)
    """What is wrong, in words; at most `MOST_PROBLEMS`."""

    def note(self, problem: str) -> None:
        """Take down what is wrong."""
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)


def verify(events: EventStore, stream_type: str, stream_id: str, *, folding: Folding | None = None) -> Verified:
    """Return what is wrong with a stream, if anything. Raises: what the store raises where it cannot be asked."""
    stream = Stream(stream_type, stream_id)
    work = _Work(events=events, stream=stream, found=Verified(stream=stream))
    chunks = work.listed()
    work.look_at(chunks)
    work.read(sorted(chunks, key=lambda chunk: (chunk.first, chunk.version)), folding)
    if folding is not None and not work.found.problems and not work.found.ended:
        work.fold(folding)
    return work.found


@dataclass(slots=True, kw_only=True)
class _Work:
    """What is under way with one stream."""

    events: EventStore
    stream: Stream
    found: Verified
    seen: dict[int, bytes] = field(default_factory=dict)
    """What is at each position, shortened."""
    ids: dict[str, int] = field(default_factory=dict)
    snapshots: dict[int, list[tuple[str, bytes]]] = field(default_factory=dict)
    """By their positions: the keys of their chunks, and the states, shortened."""

    def listed(self) -> list[Chunk]:
        return [chunk for page in self.events.listing.pages(self.stream) for chunk in page]

    def look_at(self, chunks: Sequence[Chunk]) -> None:
        """Look at what the listing tells."""
        self.found.chunks = len(chunks)
        self.found.version = max((chunk.last for chunk in chunks), default=0)
        tombstone = next((chunk for chunk in chunks if chunk.tombstone), None)
        if tombstone is None:
            self._look_for_gap(chunks)
            return
        self.found.ended = True
        self.found.version = tombstone.last
        for chunk in chunks:
            if chunk.first > tombstone.first or (chunk.count and chunk.last > tombstone.last):
                self.found.note(
                    f"{chunk.key!r} has events up to {chunk.last}, but the stream was ended after {tombstone.last}."
                )

    def read(self, chunks: Sequence[Chunk], folding: Folding | None) -> None:
        """Read all chunks, the oldest first."""
        missing = []
        for chunk, read in self.events.fetcher.fetch_each(self.stream, chunks):
            if isinstance(read, KeyMissingError):
                missing.append(chunk)
            elif isinstance(read, ConsistentS3Error):
                self.found.note(str(read))
            else:
                self._compare(chunk, read)
                self._remember(chunk, read, folding)
        if missing:  # collected meanwhile, as a rule
            again = self.listed()
            listed = {chunk.key for chunk in again}
            for chunk in missing:
                if chunk.key in listed:
                    self.found.note(f"{chunk.key!r} is listed, and the store denies it.")
            if not self.found.ended:
                self._look_for_gap(again)

    def fold(self, folding: Folding) -> None:
        """Fold all events, and compare the snapshots on the way."""
        state = deepcopy(folding.initial)
        try:
            for event in self.events.read(self.stream.type, self.stream.id):
                try:
                    state = folding.fold(state, event)
                except Exception as error:  # noqa: BLE001 - the project's own function
                    self.found.note(f"The fold failed at event {event.position}: {type(error).__name__}: {error}")
                    return
                for key, kept in self.snapshots.get(event.position, ()):
                    self._compare_state(key, kept, event.position, state)
        except StreamTombstonedError:  # meanwhile
            self.found.ended = True
        except DamagedStreamError as error:  # what was sound a moment ago
            self.found.note(str(error))

    def _compare_state(self, key: str, kept: bytes, position: int, state: Any) -> None:
        self.found.snapshots += 1
        try:
            plain = encoded_state(self.events.serializer, state, "The state")
        except InvalidEventError as error:
            self.found.note(f"{key!r} has a snapshot after event {position} that does not give the state back. {error}")
            return
        if _shortened(plain) != kept:
            self.found.note(
                f"{key!r} has a snapshot after event {position} that is not what folding gives. Change the schema "
                "version if the fold was changed: then it is not used any more."
            )

    def _look_for_gap(self, chunks: Sequence[Chunk]) -> None:
        gap = cover(chunks, first=1, last=max((chunk.last for chunk in chunks), default=0)).gap
        if gap:
            self.found.note(f"Event {gap} is gone: no chunk has it. Restore the object from a backup.")

    def _compare(self, chunk: Chunk, body: Body) -> None:
        for position, kept in enumerate(body.events, start=body.first):
            try:
                event = event_at(kept, position, self.events.serializer)
            except ConsistentS3Error as error:
                self.found.note(f"{chunk.key!r}: {error}")
                continue
            shortened = _shortened(kept)
            if self.seen.setdefault(position, shortened) != shortened:
                self.found.note(f"{chunk.key!r} shows another event {position} than another chunk does.")
            elif self.ids.setdefault(str(event.id), position) != position:
                self.found.note(f"Events {self.ids[str(event.id)]} and {position} both have the id {event.id}.")

    def _remember(self, chunk: Chunk, body: Body, folding: Folding | None) -> None:
        for kept in body.snapshots:
            if not body.first <= kept.position <= chunk.last:
                self.found.note(
                    f"{chunk.key!r} has a snapshot after event {kept.position}, but events {chunk.first} to "
                    f"{chunk.last}."
                )
            elif folding is not None and _same(kept.schema_version, folding.schema_version):
                self.snapshots.setdefault(kept.position, []).append((chunk.key, _shortened(kept.state)))


def _same(one: int | str, other: int | str) -> bool:
    return one == other and type(one) is type(other)


def _shortened(value: Any) -> bytes:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).digest()[:16]
