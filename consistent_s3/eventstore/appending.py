"""How do events come to be in a stream, exactly once, or not at all?

1. The version must be what the writer expects. It is known from a LIST, or from what this process saw of the stream
   less than `write_deadline` ago (see `seen`); where those disagree with the writer, the LIST decides.
2. All events of an append are one chunk, taken by one conditional put of the key after the version (see
   `core.claiming`).
3. Who is told that another was first, and named the version exactly, looks whether the events at these positions bear
   the ids of its own: then they were appended before, by a call whose answer was lost, and nothing more is done. That
   holds for any process, and after the chunk was covered and collected.
4. Who named no version tries again, for as long as `patience`. Such an append that is called twice appends twice. If
   its outcome is unknown, the error names the position it was sent for: with the version before it rule 3 holds.
5. A tombstone is a chunk without events, taken like any other: of it and an append at the same version one wins.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import chain, repeat

from consistent_s3.core.claiming import Claim, Claimer, contend, new_write_id
from consistent_s3.core.errors import (
    AlreadyExistsError,
    ConflictError,
    ConsistentS3Error,
    KeyMissingError,
    NumberTakenError,
    OutcomeUnknownError,
)
from consistent_s3.core.protocol import Timing
from consistent_s3.core.seams import Attributes, Clock
from consistent_s3.core.versions import Details, to_metadata
from consistent_s3.eventstore.bodies import CONTENT_TYPE, KeptSnapshot, Record, pack_appended, pack_tombstone
from consistent_s3.eventstore.errors import StreamTombstonedError
from consistent_s3.eventstore.events import EXISTS, NONE_YET, Expected, ExpectedVersion
from consistent_s3.eventstore.fetching import Fetcher
from consistent_s3.eventstore.listing import StreamListing
from consistent_s3.eventstore.measuring import COLLECTED_MEANWHILE, VersionTeller, never_shown
from consistent_s3.eventstore.names import Stream
from consistent_s3.eventstore.reading import Range, StreamReader
from consistent_s3.eventstore.seen import Seen, SeenVersions


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """Where events are."""

    first: int
    repeated: bool
    """An earlier call had appended them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Appender:
    """Appends chunks and tombstones."""

    listing: StreamListing
    fetcher: Fetcher
    reader: StreamReader
    seen: SeenVersions
    timing: Timing
    clock: Clock
    chance: random.Random
    teller: VersionTeller
    extra: Mapping[str, object]

    def learn(self, stream: Stream) -> Seen:
        """Return the version of a stream: one LIST. Raises `StreamTombstonedError`."""
        for _ in range(COLLECTED_MEANWHILE):
            at = self.clock.monotonic()
            newest = self.listing.newest(stream)
            with suppress(KeyMissingError):  # written again, and collected meanwhile
                version = self.teller.version(newest, stream)
                self.seen.note(stream, version, at=at)
                return Seen(version, at)
        raise never_shown(stream)

    def append(
        self, stream: Stream, records: Sequence[Record], expected: ExpectedVersion, *, snapshot: KeptSnapshot | None
    ) -> Landed:
        """Append events at the version that is expected."""
        return self._take(
            stream,
            expected,
            ids=[record.id for record in records],
            pack=lambda first: pack_appended(stream, first, records, () if snapshot is None else (snapshot,)),
        )

    def tombstone(self, stream: Stream, expected: ExpectedVersion, now: datetime) -> None:
        """End a stream at the version that is expected; one that was ended there is left as it is."""
        try:
            self._take(stream, expected, ids=(), pack=lambda first: pack_tombstone(stream, first, now=now))
        except StreamTombstonedError as error:
            if _exact(expected) not in (None, error.version):
                raise
        finally:
            self.seen.forget(stream)

    def _take(
        self, stream: Stream, expected: ExpectedVersion, *, ids: Sequence[str], pack: Callable[[int], bytes]
    ) -> Landed:
        """Take the key after the version with events of these ids; without any, with a tombstone."""
        write_id = new_write_id(self.chance)
        exact = _exact(expected)
        looks = chain([partial(self._known, stream, expected)], repeat(partial(self.learn, stream)))

        def attempt() -> Landed:
            seen = next(looks)()
            conflict = _conflict(stream, expected, seen.version)
            if conflict is None:
                first = seen.version + 1
                try:
                    self._put(stream, seen, pack(first), exact=exact, ids=ids, write_id=write_id)
                    return Landed(first=first, repeated=False)
                except NumberTakenError:
                    if exact is None:
                        raise
                seen = self.learn(stream)  # however long it took: what is there may be from an earlier call
                conflict = _conflict(stream, expected, seen.version)
            if exact is not None and exact < seen.version and self._has(stream, exact + 1, ids):
                return Landed(first=exact + 1, repeated=True)
            raise conflict or NumberTakenError

        def beaten() -> ConflictError:
            return ConflictError(
                f"Other writers were first at every attempt to append to stream {stream.name!r} for "
                f"{self.timing.patience}. Try again later, or append more events at a time.",
                name=stream.name,
                actual=self.learn(stream).version,  # what was learned last may have been seen before this call
            )

        return contend(
            attempt, name=stream.name, timing=self.timing, clock=self.clock, chance=self.chance, beaten=beaten
        )

    def _known(self, stream: Stream, expected: ExpectedVersion) -> Seen:
        """Return the version that this process saw a moment ago if it will do, else ask."""
        seen = self.seen.since(stream, self.clock.monotonic() - self.timing.write_deadline.total_seconds())
        if seen is not None and _conflict(stream, expected, seen.version) is None:
            return seen
        return self.learn(stream)

    def _put(
        self, stream: Stream, learned: Seen, data: bytes, *, exact: int | None, ids: Sequence[str], write_id: str
    ) -> None:
        first = learned.version + 1
        unknown = OutcomeUnknownError(
            _unknown(stream, first, exact=exact, ends=not ids), name=stream.name, number=first, write_id=write_id
        )
        claimer = Claimer(store=self.listing.store, clock=self.clock, chance=self.chance, grace=self.timing.grace)
        claim = Claim(
            key=self.listing.layout.chunk_key(stream, first),
            write_id=write_id,
            learned_at=learned.at,
            deadline=learned.at + self.timing.write_deadline.total_seconds(),
            unknown=lambda: unknown,
        )
        attributes = Attributes(
            metadata=to_metadata(Details(write_id=write_id)), content_type=CONTENT_TYPE, extra=self.extra
        )
        began = self.clock.monotonic()
        claimer.take(claim, io.BytesIO(data), attributes)
        if self.clock.monotonic() - learned.at >= self.timing.grace.total_seconds():
            # As slow as this, the key may have been used, covered and collected meanwhile.
            try:
                overtaken = not self._has(stream, first, ids)
            except ConsistentS3Error as error:  # no answer; or the stream was ended, and its chunks collected
                raise unknown from error
            if overtaken:
                raise unknown
        if ids:
            self.seen.note(stream, learned.version + len(ids), at=began)

    def _has(self, stream: Stream, first: int, ids: Sequence[str]) -> bool:
        """Return whether the events from a position on bear these ids: as a rule one GET."""
        wanted = list(ids)
        with suppress(KeyMissingError):  # covered and collected, or never there
            body = self.fetcher.fetch_appended(stream, self.listing.layout.chunk_key(stream, first))
            if not wanted:
                return body.tombstone
            there = [event["id"] for event in body.events][: len(wanted)]
            if there != wanted[: len(there)]:
                return False
            if len(there) == len(wanted):
                return True
        kept = self.reader.read(stream, Range(first=first, last=first + len(wanted) - 1))
        return bool(wanted) and [event["id"] for _, event in kept] == wanted


def _exact(expected: ExpectedVersion) -> int | None:
    """Return the version that a writer named, if it named one."""
    if expected is NONE_YET:
        return 0
    return None if isinstance(expected, Expected) else expected


def _unknown(stream: Stream, first: int, *, exact: int | None, ends: bool) -> str:
    """Return what to tell of a put whose outcome nobody knows, and what to do then."""
    if ends:
        return (
            f"Nobody can say whether stream {stream.name!r} was ended after event {first - 1}: it was sent, and no "
            "answer came. End it again: if it was, that changes nothing."
        )
    sent = (
        f"Nobody can say whether event {first} of stream {stream.name!r} was appended: it was sent, and no answer came."
    )
    if exact is None:
        return (
            f"{sent} Append with expected_version={first - 1} and the same event ids: that succeeds once. To name no "
            "version again might append twice."
        )
    return f"{sent} Append again with the same event ids and the same expected version: that succeeds once."


def _conflict(stream: Stream, expected: ExpectedVersion, actual: int) -> ConflictError | None:
    """Return the error for a version that is not what was expected; `None` if it is."""
    if isinstance(expected, Expected):
        if expected is EXISTS and actual == 0:
            return ConflictError(
                f"Stream {stream.name!r} has no event, but was expected to exist. Append with NONE_YET, or look for "
                "the right id.",
                name=stream.name,
            )
        if expected is NONE_YET and actual:
            return AlreadyExistsError(
                f"Stream {stream.name!r} has {actual} events, but none yet was expected. Read them and decide again, "
                "or choose another id.",
                name=stream.name,
                expected=0,
                actual=actual,
            )
        return None
    if expected == actual:
        return None
    return ConflictError(
        f"Stream {stream.name!r} is at version {actual}, but {expected} was expected. Read what is new and decide "
        "again."
        if actual > expected
        else f"Stream {stream.name!r} is at version {actual}, but {expected} was expected, which it never had. Read it "
        "and decide again.",
        name=stream.name,
        expected=expected,
        actual=actual,
    )
