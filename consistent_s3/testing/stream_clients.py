"""What the clients of a simulated world of streams do: append, read, fold, end; and what they were told of it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from consistent_s3.core.errors import (
    ConflictError,
    ConsistentS3Error,
    KeyMissingError,
    NotYetVisibleError,
    OutcomeUnknownError,
)
from consistent_s3.eventstore import (
    ANY,
    EXISTS,
    NONE_YET,
    DamagedStreamError,
    Event,
    EventStore,
    ExpectedVersion,
    Folded,
    NewEvent,
    Snapshot,
    StreamTombstonedError,
)
from consistent_s3.testing.simulation import Simulation
from consistent_s3.testing.stream_histories import Call, StreamHistory

SURPRISES = (DamagedStreamError, KeyMissingError, NotYetVisibleError, LookupError, TypeError, ValueError)
"""Errors that nobody may get who follows the protocol on a store that is right for streams; but an ended stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """A way of folding events to a list of their ids; each writes them otherwise, so that none can read another's."""

    version: int
    write: Callable[[str], str]
    read: Callable[[str], str]

    def fold(self, state: list[str], event: Event) -> list[str]:
        """Add an event, in place, as careless programs do, and leave nothing of its data."""
        state.append(self.write(str(event.id)))
        event.data.clear()
        return state

    def folded(self, events: EventStore, *stream: str, snapshot_every: int | None) -> Folded[list[str]]:
        """Return the state, with plain ids."""
        stream_type, stream_id = stream
        kept: Folded[list[str]] = events.state(
            stream_type, stream_id, self.fold, [], schema_version=self.version, snapshot_every=snapshot_every
        )
        return Folded(
            state=[self.read(event) for event in kept.state],
            version=kept.version,
            folded=kept.folded,
            snapshotted=kept.snapshotted,
        )

    def snapshot(self, ids: Sequence[str]) -> Snapshot:
        """Return the snapshot of a state with plain ids."""
        return Snapshot(schema_version=self.version, state=[self.write(event) for event in ids])


SCHEMAS = (
    Schema(version=1, write=str, read=str),
    Schema(version=2, write=lambda event: event[::-1], read=lambda event: event[::-1]),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """An append of which its client does not know yet what came of it."""

    stream: tuple[str, str]
    events: tuple[NewEvent, ...]
    expected: ExpectedVersion
    snapshot: Snapshot | None = None

    @property
    def exact(self) -> int | None:
        """Return the version that it names, if it does."""
        if self.expected is NONE_YET:
            return 0
        return self.expected if isinstance(self.expected, int) else None


@dataclass(slots=True, kw_only=True)
class StreamClient:
    """One process."""

    name: str
    events: EventStore
    streams: Sequence[tuple[str, str]]
    simulation: Simulation
    history: StreamHistory
    happened: Counter[str]
    surprises: list[str]
    pending: list[Pending]
    """What it, or who was here before it, must find out about."""
    known: dict[tuple[str, str], int] = field(default_factory=dict)
    """The version of each stream after its last append there."""

    @property
    def chance(self) -> random.Random:
        """Return what everything is drawn from."""
        return self.simulation.chance

    # What a client does

    def append(self) -> None:
        """Find out about what is pending, or append something new; some is delivered twice."""
        if self.pending:
            self._send(self.pending[0])
            return
        wanted = self._decide()
        if wanted is None:
            return
        appended = self._send(wanted)
        if appended and wanted.exact is not None and self.chance.random() < 0.2:
            self.simulation.sleep(self.chance.choice((0.0, 10.0, 5000.0)) * self.chance.random())
            self._send(wanted)

    def read(self) -> None:
        """Read all of a stream, or a part, from either end, slowly at times; or ask for its version."""
        stream = self.chance.choice(self.streams)
        if self.chance.random() < 0.2:
            self._version(stream)
            return
        if self.chance.random() < 0.1:
            self._ids(stream)
            return
        after, until, limit = self._range()
        backwards = self.chance.random() < 0.4
        call = self.history.begin(self.name, "read", "/".join(stream), backwards=backwards)
        pause_at = self.chance.randrange(8) if self.chance.random() < 0.4 else -1

        def read() -> None:
            moment = self.history.time()
            reading = self.events.read(*stream, after=after, until=until, limit=limit, backwards=backwards)
            for event in reading:
                if not call.shown:
                    moment = self.history.time()
                call.shown.append((event.position, str(event.id)))
                if len(call.shown) == pause_at:
                    self.simulation.sleep(3000 * self.chance.random())
            self._note_range(call, after=after, until=until, limit=limit)
            call.learned = moment if call.shown else self.history.time()

        self._told(call, read)

    def fold(self) -> None:
        """Fold a stream, and perhaps write a snapshot."""
        self._state(self.chance.choice(self.streams), self.chance.choice(SCHEMAS))

    def end(self) -> None:
        """Put a tombstone on the last stream after a while; again if nobody knows whether it is there."""
        self.simulation.sleep(4000 * self.chance.random())
        stream = self.streams[-1]
        for _ in range(5):
            call = self.history.begin(self.name, "end", "/".join(stream))
            self._told(call, lambda: self.events.tombstone(*stream))
            if call.outcome == "ok":
                return

    # How

    def _decide(self) -> Pending | None:
        """Return what to append, and to what; `None` if the question was not answered."""
        stream = self.chance.choice(self.streams)
        events = tuple(
            NewEvent(type="Happened", id=UUID(int=self.chance.getrandbits(128)), data={"by": self.name})
            for _ in range(self.chance.choice((1, 1, 2, 3, 5)))
        )
        ways = {"seen": 30, "folded": 20, "known": 15, "old": 10, "any": 15, "exists": 5, "none yet": 5}
        (way,) = self.chance.choices(list(ways), weights=list(ways.values()))
        if way in {"any", "exists", "none yet"}:
            expected = {"any": ANY, "exists": EXISTS, "none yet": NONE_YET}[way]
            return Pending(stream=stream, events=events, expected=expected)
        if way in {"known", "old"}:
            version = self.known.get(stream, 0) if way == "known" else self.chance.randrange(20)
            return Pending(stream=stream, events=events, expected=version)
        if way == "seen":
            seen = self._version(stream)
            return None if seen is None else Pending(stream=stream, events=events, expected=seen)
        schema = self.chance.choice(SCHEMAS)
        state = self._state(stream, schema)
        if state is None:
            return None
        snapshot = schema.snapshot([*state, *(str(event.id) for event in events)])
        return Pending(stream=stream, events=events, expected=len(state), snapshot=snapshot)

    def _send(self, wanted: Pending) -> bool:
        """Append, and remember it until it is known what came of it; return whether it is there."""
        ids = [str(event.id) for event in wanted.events]
        call = self.history.begin(self.name, "append", "/".join(wanted.stream), appends=ids, exact=wanted.exact)
        if wanted.exact is not None and wanted not in self.pending:
            self.pending.append(wanted)

        def append() -> None:
            try:
                done = self.events.append(
                    *wanted.stream, wanted.events, expected_version=wanted.expected, snapshot=wanted.snapshot
                )
            except OutcomeUnknownError as error:
                if wanted.exact is None:  # as the error says
                    self.pending.append(replace(wanted, expected=error.number - 1))
                raise
            call.shown = [(event.position, str(event.id)) for event in done.events]
            self.known[wanted.stream] = call.version = done.version
            self.happened["append repeated"] += done.repeated

        self._told(call, append)
        if call.outcome in {"ok", "refused", "ended"} and wanted in self.pending:
            self.pending.remove(wanted)
        return call.outcome == "ok"

    def _version(self, stream: tuple[str, str]) -> int | None:
        call = self.history.begin(self.name, "version", "/".join(stream))
        self._told(call, lambda: self.history.learn(call, version=self.events.version(*stream)))
        return call.version if call.outcome == "ok" else None

    def _ids(self, stream: tuple[str, str]) -> None:
        """List the ids of a type; those of streams that somebody knows of are among them."""
        stream_type, _ = stream
        known = {call.stream for call in self.history.calls if call.appends and call.outcome == "ok"}
        wanted = {one for kind, one in self.streams if kind == stream_type and f"{kind}/{one}" in known}
        call = self.history.begin(self.name, "ids", stream_type)
        listed: list[str] = []
        self._told(call, lambda: listed.extend(self.events.streams(stream_type)))
        if call.outcome == "ok" and (listed != sorted(set(listed)) or not wanted <= set(listed)):
            self.surprises.append(f"{call.words} was told {listed}, and there are {sorted(wanted)}")

    def _state(self, stream: tuple[str, str], schema: Schema) -> list[str] | None:
        """Return the ids in a folded state; `None` if there was no answer."""
        call = self.history.begin(self.name, "state", "/".join(stream))
        every = self.chance.choice((1, 3, 10, None))

        def fold() -> None:
            folded = schema.folded(self.events, *stream, snapshot_every=every)
            call.shown = list(enumerate(folded.state, start=1))
            call.version = folded.version
            self.happened["states from a snapshot"] += folded.folded < folded.version
            if len(folded.state) != folded.version:
                self.surprises.append(f"{call.words} has {len(folded.state)} events")

        self._told(call, fold)
        return [event for _, event in call.shown] if call.outcome == "ok" else None

    def _told(self, call: Call, action: Callable[[], Any]) -> None:
        """Make a call, and note how it ended."""
        try:
            action()
        except ConflictError as error:
            call.version = error.actual
            self.history.end(call, outcome="refused")
        except StreamTombstonedError as error:
            call.version = error.version
            self.history.end(call, outcome="ended")
        except OutcomeUnknownError:
            self.history.end(call, outcome="unknown")
        except SURPRISES as error:
            self.surprises.append(f"{call.words}: {error!r}")
            self.history.end(call, outcome="failed")
        except ConsistentS3Error as error:
            self.simulation.say(f"{call.words}: {error}")
            self.history.end(call, outcome="failed")
        else:
            self.history.end(call, outcome="ok")

    def _range(self) -> tuple[int, int | None, int | None]:
        """Return after, until and limit: mostly of everything."""
        draw = self.chance.randrange
        if self.chance.random() < 0.4:
            return 0, None, None
        return draw(12), self.chance.choice((None, 1 + draw(25))), self.chance.choice((None, 1 + draw(8)))

    def _note_range(self, call: Call, *, after: int, until: int | None, limit: int | None) -> None:
        """Note what the events of a range tell about the version, and whether any was left out."""
        if until is not None and until <= after:
            if call.shown:
                self.surprises.append(f"{call.words} asked for nothing and was told {call.shown}")
            return
        if not call.shown:
            call.at_most = after
            return
        low, high = sorted((call.shown[0][0], call.shown[-1][0]))
        full = limit is not None and len(call.shown) == limit
        if (until is None or high < until) and (call.backwards or not full):
            call.version = high
        beyond = (until is not None and high > until) or (limit is not None and len(call.shown) > limit)
        if low <= after or beyond or (low != after + 1 and not (call.backwards and full)):
            self.surprises.append(f"{call.words} asked for {after}, {until}, {limit} and was told {low} to {high}")
