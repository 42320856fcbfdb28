"""What is the state of a stream: all its events, folded? One LIST and one GET, however many events.

1. A chunk may carry snapshots: the state after one of its events, with a schema version that says what the state looks
   like and which fold made it. One with another schema version is as if it was not there.
2. If the newest chunk has a matching snapshot, only its events after that are folded: 1 LIST, 1 GET.
3. Else the chunks before are looked through for the newest matching one, and what comes after it is folded; without
   one, everything from the start. Of what was looked through nothing is fetched twice, and no more than `LOOK_BACK`
   events are held in memory.
4. If that took as many events as `snapshot_every`, the newest chunk is written again as its next chunk version, with
   the same events and the snapshot. Whoever loses that race, or gets no answer, has lost nothing.
   Its key was free when the chunk was listed, and is reached for only as long as nothing can have been collected since.
   What the fold does to the data that it is given is never written.
5. With snapshots, a state that a snapshot would give back otherwise is refused at every fold: what goes on from it
   would be another state. It is encoded and decoded for that: some milliseconds for 100 kB.
6. A chunk keeps snapshots of up to four schema versions, so that two versions of a program that run at once do not
   replay the stream in turns.

Snapshots are disposable: the state is always what folding all events gives.
"""

from __future__ import annotations

import copy
import io
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from typing import Any, Generic, TypeVar

from consistent_s3.core.errors import (
    AnswerLostError,
    DeadlinePassedError,
    PreconditionTrippedError,
    UnreachableError,
)
from consistent_s3.core.protocol import Timing
from consistent_s3.core.seams import Attributes, Clock, ObjectStore, PutMode
from consistent_s3.eventstore.bodies import (
    CONTENT_TYPE,
    MAX_SNAPSHOT_BYTES,
    Body,
    KeptSnapshot,
    as_json,
    event_at,
    pack,
    prepare_snapshot,
)
from consistent_s3.eventstore.events import Event, Snapshot
from consistent_s3.eventstore.keys import MAX_CHUNK_VERSION, Chunk, StreamLayout
from consistent_s3.eventstore.names import Stream
from consistent_s3.eventstore.reading import Range, StreamReader
from consistent_s3.eventstore.serializing import UNREADABLE, Serializer

LOOK_BACK = 10_000
"""Events before the newest chunk that are looked through, and held, to find a snapshot."""
MAX_SNAPSHOTS = 4
"""Snapshots in one chunk, each of another schema version."""

State = TypeVar("State")


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded(Generic[State]):
    """The state of a stream."""

    state: State
    version: int
    """It is the state after this event; 0 for a stream without events."""
    folded: int
    """How many events were folded now; the others were in a snapshot."""
    snapshotted: bool = False
    """A snapshot was written now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """Where a fold begins."""

    found: tuple[KeptSnapshot, Any] | None
    """A snapshot, and its state; `None` for the beginning of the stream."""
    events: Iterable[tuple[int, Any]]
    """Positions and events that come after it."""

    @property
    def position(self) -> int:
        """Return after which event that is."""
        return 0 if self.found is None else self.found[0].position


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """Folds streams, and writes snapshots."""

    store: ObjectStore
    layout: StreamLayout
    reader: StreamReader
    serializer: Serializer
    timing: Timing
    clock: Clock
    extra: Mapping[str, object]

    def fold(
        self,
        stream: Stream,
        fold: Callable[[State, Event], State],
        initial: State,
        *,
        schema_version: int | str,
        snapshot_every: int | None,
    ) -> Folded[State]:
        """Return the state of a stream."""
        began = self.clock.monotonic()
        newest = next(self.reader.bodies(stream, Range(limit=1, backwards=True)), None)
        if newest is None:
            return Folded(state=copy.deepcopy(initial), version=0, folded=0)
        piece, body = newest
        version = piece.last
        start = self._start(stream, body, schema_version, version)
        folded = version - start.position
        writes = snapshot_every is not None and folded >= snapshot_every
        as_it_was = [as_json(event) for event in body.events] if writes else []  # the fold may change what it is given
        state = copy.deepcopy(initial) if start.found is None else start.found[1]
        for position, kept in start.events:
            state = fold(state, event_at(kept, position, self.serializer))
        if snapshot_every is None or not folded:
            return Folded(state=state, version=version, folded=folded)
        snapshot = prepare_snapshot(  # also where none is written yet: a state that cannot be kept shows at once
            Snapshot(schema_version=schema_version, state=state), serializer=self.serializer, position=version
        )
        snapshotted = False
        if writes and snapshot.size <= MAX_SNAPSHOT_BYTES:
            data = pack(stream, body.first, as_it_was, snapshots=newest_snapshots([snapshot], body.snapshots))
            snapshotted = self._write(stream, piece.chunk, data, began)
        return Folded(state=state, version=version, folded=folded, snapshotted=snapshotted)

    def _start(self, stream: Stream, body: Body, schema_version: int | str, version: int) -> _Start:
        """Return where to begin, by the newest chunk, and if need be by those before it; rules 2 and 3."""
        found = self._newest_snapshot(body, schema_version, version)
        waiting = deque([_after(body, found, version)])
        before = body.first - 1
        if found is None and before:
            look_back = Range(first=max(1, before - LOOK_BACK + 1), last=before, backwards=True)
            with closing(self.reader.bodies(stream, look_back)) as bodies:
                for earlier, looked in bodies:
                    found = self._newest_snapshot(looked, schema_version, earlier.last)
                    waiting.appendleft(_after(looked, found, earlier.last, first=earlier.first))
                    before = earlier.first - 1
                    if found is not None:
                        break
        if found is not None:
            return _Start(found=found, events=chain.from_iterable(waiting))
        replayed = self.reader.read(stream, Range(last=before)) if before else ()
        return _Start(found=None, events=chain(replayed, chain.from_iterable(waiting)))

    def _newest_snapshot(self, body: Body, schema_version: int | str, until: int) -> tuple[KeptSnapshot, Any] | None:
        """Return a chunk's snapshot of a schema version, not after a position, and its state."""
        for kept in body.snapshots:
            same = kept.schema_version == schema_version and type(kept.schema_version) is type(schema_version)
            if same and body.first <= kept.position <= until:
                try:
                    return kept, self.serializer.decode(kept.state)
                except UNREADABLE:  # disposable: it can be folded again
                    return None
        return None

    def _write(self, stream: Stream, chunk: Chunk, data: bytes, learned_at: float) -> bool:
        """Write the newest chunk again; return whether that is certain."""
        if chunk.version == MAX_CHUNK_VERSION:
            return False
        key = self.layout.chunk_key(stream, chunk.first, version=chunk.version + 1, count=chunk.count)
        try:
            self.store.put(
                key,
                io.BytesIO(data),
                mode=PutMode.CREATE,
                attributes=Attributes(content_type=CONTENT_TYPE, extra=self.extra),
                deadline=learned_at + self.timing.rewritable.total_seconds(),
            )
        except (PreconditionTrippedError, AnswerLostError, DeadlinePassedError, UnreachableError):
            return False
        return True


def newest_snapshots(*groups: Iterable[KeptSnapshot]) -> list[KeptSnapshot]:
    """Return the newest snapshot of each schema version, the newest first, at most `MAX_SNAPSHOTS`."""
    newest: dict[tuple[type, int | str], KeptSnapshot] = {}
    for kept in (kept for group in groups for kept in group):
        schema = (type(kept.schema_version), kept.schema_version)
        if schema not in newest or kept.position > newest[schema].position:
            newest[schema] = kept
    return sorted(newest.values(), key=lambda kept: kept.position, reverse=True)[:MAX_SNAPSHOTS]


def _after(body: Body, found: tuple[KeptSnapshot, Any] | None, last: int, *, first: int = 0) -> list[tuple[int, Any]]:
    """Return positions and events of a chunk after its snapshot, if it has one, up to a position."""
    first = max(first, body.first) if found is None else found[0].position + 1
    return [(position, body.events[position - body.first]) for position in range(first, last + 1)]
