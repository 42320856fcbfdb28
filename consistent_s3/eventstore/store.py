"""Everything one can do with streams of events: the façade of the event store."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace

from consistent_s3.core.errors import PolicyError
from consistent_s3.core.pace import Pace
from consistent_s3.core.protocol import Timing
from consistent_s3.core.retention import RetentionPolicy
from consistent_s3.core.seams import Clock, ObjectStore, SystemClock, system_chance
from consistent_s3.core.selftest import SelfTesting
from consistent_s3.core.sweeping import Lookup
from consistent_s3.eventstore.appending import Appender
from consistent_s3.eventstore.bodies import (
    MAX_SNAPSHOT_BYTES,
    check_schema_version,
    event_at,
    prepare,
    prepare_snapshot,
)
from consistent_s3.eventstore.collecting import StreamCollector
from consistent_s3.eventstore.compacting import MOST, Compaction, Compactor, check_readable
from consistent_s3.eventstore.errors import InvalidEventError, StreamTombstonedError
from consistent_s3.eventstore.events import (
    ANY,
    NONE_YET,
    Appended,
    Event,
    Expected,
    ExpectedVersion,
    NewEvent,
    Snapshot,
)
from consistent_s3.eventstore.fetching import Fetcher
from consistent_s3.eventstore.folding import Folded, Folder, State
from consistent_s3.eventstore.keys import Chunk, StreamLayout
from consistent_s3.eventstore.listing import StreamListing
from consistent_s3.eventstore.measuring import VersionTeller
from consistent_s3.eventstore.names import Stream, validate_segment
from consistent_s3.eventstore.reading import Range, StreamReader
from consistent_s3.eventstore.seen import SeenVersions
from consistent_s3.eventstore.serializing import PlainJSON, Serializer

CURE = "Streams cannot be kept there: use a store that honours `If-None-Match: *`, as S3 does."
SNAPSHOT_EVERY = 100
"""Events that are folded before a snapshot is worth a PUT."""
PREFETCH = 8
"""Chunks that are on their way at once while a stream is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What an event store is made of."""

    listing: StreamListing
    fetcher: Fetcher
    reader: StreamReader
    appender: Appender
    folder: Folder
    compactor: Compactor


@dataclass(frozen=True, slots=True)
class EventStore:
    """Streams of events under one prefix of one bucket.

        events = EventStore(store, "events")
        events.append("order", "7", [NewEvent(type="Placed", data={"total": 12})], expected_version=NONE_YET)
        for event in events.read("order", "7"): ...

    Guarantees:

    1. An append is atomic: all its events, at positions without gap after the version, or none.
    2. An append that returned is seen by every read that begins afterwards, for ever at the same positions.
    3. Of two writers who expect the same version at most one succeeds.
    4. An append that names its version exactly may be sent again, by anybody, with the same event ids: it succeeds
       once.
    5. A read yields every event of its range once, in order, whatever is appended, compacted or collected meanwhile.

    All on a store whose LIST is strongly consistent and which honours `If-None-Match: *`, as S3 does: what the listing
    index with sequence numbering needs. A store that ignores conditions is refused before the first write. Not
    guaranteed: any order between streams. Safe in many threads. Raises: `InvalidNameError` for a prefix, `PolicyError`
    for a storage class whose objects cannot be read at once.
    """

    store: ObjectStore
    prefix: str
    """Without slashes at its ends. Nothing else should write below it."""
    _: KW_ONLY
    timing: Timing = field(default_factory=Timing)
    clock: Clock = field(default_factory=SystemClock)
    chance: random.Random = field(default_factory=system_chance, repr=False)
    serializer: Serializer = field(default_factory=PlainJSON)
    """What turns data, metadata and states into what JSON can hold, and back."""
    prefetch: int = PREFETCH
    """GETs under way at once while a stream is read; 1 uses no threads."""
    place: str = ""
    """What names the bucket among all that this process uses, so that it is asked once what it honours; empty: each
    event store asks for itself."""
    extra: Mapping[str, object] = field(default_factory=dict, repr=False)
    """Further boto3 arguments of every PutObject: `ServerSideEncryption` ..."""
    _parts: _Parts = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_readable(str(self.extra.get("StorageClass", "")), "The StorageClass of what is put")
        object.__setattr__(self, "_parts", _assembled(self))

    @property
    def listing(self) -> StreamListing:
        """Return what asks the bucket's listing about these streams."""
        return self._parts.listing

    @property
    def fetcher(self) -> Fetcher:
        """Return what gets chunks of these streams, whole."""
        return self._parts.fetcher

    # Writing

    def append(
        self,
        stream_type: str,
        stream_id: str,
        events: Sequence[NewEvent],
        *,
        expected_version: ExpectedVersion,
        snapshot: Snapshot | None = None,
    ) -> Appended:
        """Append 1 to 1,000 events, all or none, and return them with their positions.

        1 PUT if this process appended there, or asked for the version, less than `write_deadline` ago, else 1 LIST and
        1 PUT: having read it does not count. `snapshot` is the state after these events; it needs a version that is
        named exactly.

        Raises: before any request `InvalidEventError`, `InvalidNameError`; `ConflictError` if the stream is at another
        version, which it names; `StreamTombstonedError`; `OutcomeUnknownError`: append again with the same event ids
        and the version before `number` that the error names, also where none was named before.
        """
        stream, expected = Stream(stream_type, stream_id), _checked(expected_version)
        records = prepare(events, serializer=self.serializer, now=self.clock.now())
        kept = None
        if snapshot is not None:
            if isinstance(expected, Expected) and expected is not NONE_YET:
                raise InvalidEventError(
                    f"A snapshot was given with expected_version {expected.value!r}, but nobody knows after which "
                    "events these will come. Name the version exactly."
                )
            version = 0 if isinstance(expected, Expected) else expected
            kept = prepare_snapshot(snapshot, serializer=self.serializer, position=version + len(records))
            if kept.size > MAX_SNAPSHOT_BYTES:
                raise InvalidEventError(
                    f"The state of the snapshot takes {kept.size} bytes, and {MAX_SNAPSHOT_BYTES} is the most. Append "
                    "without it."
                )
        landed = self._parts.appender.append(stream, records, expected, snapshot=kept)
        positions = range(landed.first, landed.first + len(records))
        if landed.repeated:
            appended = tuple(self.read(stream_type, stream_id, after=landed.first - 1, until=positions[-1]))
        else:
            appended = tuple(
                replace(record.event, position=position) for record, position in zip(records, positions, strict=True)
            )
        return Appended(events=appended, repeated=landed.repeated)

    def tombstone(self, stream_type: str, stream_id: str, *, expected_version: ExpectedVersion = ANY) -> None:
        """End a stream for good: from now on it is neither read nor written, and its id is never used again.

        Its events go when the collector comes, after `grace` and what retention says; the tombstone stays. Ending an
        ended stream does nothing. 1 LIST and 1 PUT.

        Raises: as `append`.
        """
        stream = Stream(stream_type, stream_id)
        self._parts.appender.tombstone(stream, _checked(expected_version), self.clock.now())

    def compact(
        self,
        stream_type: str,
        stream_id: str,
        *,
        most: int = MOST,
        storage_class: str = "",
        dry_run: bool = False,
    ) -> Compaction:
        """Write many small chunks again as few that cover up to `most` events each, perhaps in a colder storage class.

        What is covered is left for the collector. Run it as often as you like, in as many processes. One LIST for a
        thousand chunks, one GET for each chunk that is covered, and one PUT for each that covers.

        Raises: `PolicyError`, `StreamTombstonedError`, `StreamGapError`, and what the store raises.
        """
        stream = Stream(stream_type, stream_id)
        return self._parts.compactor.compact(stream, most=most, storage_class=storage_class, dry_run=dry_run)

    def collector(
        self,
        *,
        policy: RetentionPolicy,
        circumstances: Lookup = lambda _: {},
        pace: Pace | None = None,
    ) -> StreamCollector:
        """Return what deletes covered chunks, and the chunks of ended streams as the policy says; see `collecting`."""
        return StreamCollector(
            policy=policy,
            circumstances=circumstances,
            pace=pace or Pace(),
            listing=self.listing,
            fetcher=self.fetcher,
            grace=self.timing.grace,
            clock=self.clock,
        )

    # Reading

    def read(
        self,
        stream_type: str,
        stream_id: str,
        *,
        after: int = 0,
        until: int | None = None,
        backwards: bool = False,
        limit: int | None = None,
    ) -> Iterator[Event]:
        """Return an iterator of the events at positions after `after`, up to and including `until`, at most `limit`.

        `backwards` begins at the last of them. The range ends where the stream ended when reading began; a stream that
        does not exist has no events. Nothing is sent before the first event is asked for: then one LIST for a thousand
        chunks, and as events are asked for one GET for each chunk, several at a time.

        Raises: `InvalidNameError` and `ValueError` at once; `StreamTombstonedError`, `StreamGapError` and
        `DamagedStreamError` when it comes to that.
        """
        stream = Stream(stream_type, stream_id)
        if after < 0 or (until is not None and until < 0) or (limit is not None and limit < 0):
            raise ValueError(
                f"after={after}, until={until}, limit={limit}: positions begin at 1, and none of these may be negative."
            )
        wanted = Range(first=after + 1, last=until, limit=limit, backwards=backwards)
        return self._events(stream, wanted)

    def _events(self, stream: Stream, wanted: Range) -> Iterator[Event]:
        if wanted.limit == 0 or wanted.last == 0:
            return
        for position, kept in self._parts.reader.read(stream, wanted):
            yield event_at(kept, position, self.serializer)

    def state(
        self,
        stream_type: str,
        stream_id: str,
        fold: Callable[[State, Event], State],
        initial: State,
        *,
        schema_version: int | str,
        snapshot_every: int | None = SNAPSHOT_EVERY,
    ) -> Folded[State]:
        """Return the state that folding all events gives, and the version it belongs to.

        `fold(state, event)` returns the next state; a copy of `initial` is where it begins. 1 LIST and 1 GET if the
        newest chunk has a snapshot with this schema version, however long the stream; else see `folding`. Where
        `snapshot_every` events or more were folded, a snapshot is written, unless it is `None`: then nothing is. Change
        `schema_version` whenever the state would look otherwise, or the fold count otherwise.

        Raises: `InvalidEventError` for a state that a snapshot would not give back as it is, unless `snapshot_every` is
        `None`; as `read`.
        """
        if snapshot_every is not None and snapshot_every < 1:
            raise PolicyError(f"snapshot_every is {snapshot_every}. Give at least 1, or None for no snapshots.")
        check_schema_version(schema_version)
        return self._parts.folder.fold(
            Stream(stream_type, stream_id),
            fold,
            initial,
            schema_version=schema_version,
            snapshot_every=snapshot_every,
        )

    def version(self, stream_type: str, stream_id: str) -> int:
        """Return the position of the stream's last event; 0 for none yet: 1 LIST. Raises `StreamTombstonedError`."""
        return self._parts.appender.learn(Stream(stream_type, stream_id)).version

    def exists(self, stream_type: str, stream_id: str) -> bool:
        """Return whether the stream has events and no tombstone: 1 LIST."""
        try:
            return self._parts.appender.learn(Stream(stream_type, stream_id)).version > 0
        except StreamTombstonedError:
            return False

    def streams(self, stream_type: str, *, after: str = "") -> Iterator[str]:
        """Return an iterator of the ids of a type's streams, in the order of their keys, after an id.

        Those that were ended are among them: `exists` tells. One LIST for a thousand streams.
        """
        validate_segment(stream_type, "The type of a stream")
        if after:
            validate_segment(after, "The id of a stream")
        return self.listing.ids(stream_type, after=after)

    def types(self) -> Iterator[str]:
        """Return an iterator of the types that have streams, in the order of their keys: one LIST for a thousand."""
        return self.listing.types()

    def chunks(self, stream_type: str, stream_id: str) -> Iterator[Chunk]:
        """Return an iterator of all chunks of a stream, newest first, what is superseded and a tombstone included."""
        stream = Stream(stream_type, stream_id)
        return (chunk for page in self.listing.pages(stream) for chunk in page)


def _assembled(events: EventStore) -> _Parts:
    """Return new parts for an event store: what they remember of streams is remembered of its place only."""
    timing, clock, chance, extra = events.timing, events.clock, events.chance, events.extra
    layout = StreamLayout(events.prefix)
    place = events.place or f"event store {uuid.uuid4()}"
    store = SelfTesting(inner=events.store, place=place, key=layout.selftest_key, cure=CURE)
    listing = StreamListing(store=store, layout=layout)
    fetcher = Fetcher(store=store, clock=clock, chance=chance, prefetch=events.prefetch)
    teller = VersionTeller(place=place, fetcher=fetcher)
    reader = StreamReader(listing=listing, fetcher=fetcher, teller=teller, timing=timing, clock=clock, chance=chance)
    return _Parts(
        listing=listing,
        fetcher=fetcher,
        reader=reader,
        appender=Appender(
            listing=listing,
            fetcher=fetcher,
            reader=reader,
            seen=SeenVersions(),
            timing=timing,
            clock=clock,
            chance=chance,
            teller=teller,
            extra=extra,
        ),
        folder=Folder(
            store=store,
            layout=layout,
            reader=reader,
            serializer=events.serializer,
            timing=timing,
            clock=clock,
            extra=extra,
        ),
        compactor=Compactor(
            store=store, layout=layout, reader=reader, fetcher=fetcher, timing=timing, clock=clock, extra=extra
        ),
    )


def _checked(expected: ExpectedVersion) -> ExpectedVersion:
    """Return an expected version that is one. Raises `PolicyError`."""
    if isinstance(expected, Expected):
        return expected
    if isinstance(expected, bool) or not isinstance(expected, int) or expected < 0:
        raise PolicyError(
            f"expected_version is {expected!r}. Give the position of the stream's last event, 0 or NONE_YET for none "
            "yet, EXISTS or ANY."
        )
    return expected
