"""How are the events of aggregates, and their snapshots, recorded in streams?

1. Versions of an aggregate follow one another, so the version says the position, once it is known where they begin
   (1 for the library's aggregates, but a class may choose): one LIST and one GET per aggregate and process, and
   nothing for whoever recorded its first event or read it from the start.
2. Versions of snapshots do not follow one another, and an older one may be recorded later. So each says which version
   was the greatest until then, and whether all came in order: that makes the newest one, which is what is asked for,
   one LIST and one GET.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from typing import Any, NoReturn
from uuid import UUID

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    IntegrityError,
    Notification,
    NotSupportedError,
    StoredEvent,
    Subscription,
)

from consistent_s3.core.errors import ConflictError
from consistent_s3.eventsourcing.stored import VERSION, from_event, named_for_the_library, to_event
from consistent_s3.eventstore import Event, EventStore

REMEMBERED = 10_000
"""Aggregates of which a recorder remembers where their versions begin."""
ATTEMPTS = 10
"""How often a snapshot is tried against others of the same aggregate."""

GREATEST, ORDERED = "greatest", "ordered"

NO_ORDER = (
    "There is no order between the aggregates of an application on S3, so there are no notifications, subscriptions or "
    "trackings. Use consistent_s3.eventsourcing for applications that only save and read aggregates, and another "
    "persistence module for those that systems and projections follow."
)


class _StreamRecorder:
    """What recorders have in common: an event store, and the type that their streams have there."""

    def __init__(self, events: EventStore, *, stream_type: str) -> None:
        self.events = events
        self.stream_type = stream_type

    def _read(self, originator_id: UUID | str, **wanted: Any) -> Iterable[Event]:
        return self.events.read(self.stream_type, str(originator_id), **wanted)

    def _one_originator(self, stored_events: Sequence[StoredEvent]) -> UUID | str:
        """Return whose events these are. Raises `NotSupportedError` for those of several."""
        originators = {stored.originator_id for stored in stored_events}
        if len(originators) > 1:
            raise NotSupportedError(
                f"Events of {len(originators)} aggregates cannot be recorded as one on S3: each aggregate has objects "
                "of its own. Save them one by one."
            )
        return originators.pop()

    def _refuse_duplicates(self, stored_events: Sequence[StoredEvent]) -> None:
        versions = [stored.originator_version for stored in stored_events]
        if len(set(versions)) < len(versions):
            raise IntegrityError(f"Versions {versions} were to be recorded at once, and one of them twice.")


class S3AggregateRecorder(_StreamRecorder, AggregateRecorder):
    """Records events whose versions follow one another.

    Raises: `IntegrityError` where another was first or versions have gaps; `OperationalError` where the store did not
    answer: if nobody can say whether events were recorded, it says so, and what to look for; `NotSupportedError` for
    events of several aggregates at once.
    """

    def __init__(self, events: EventStore, *, stream_type: str) -> None:
        super().__init__(events, stream_type=stream_type)
        self._begin: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """Record the events of one aggregate, all or none: 1 PUT for who recorded its last, else 1 LIST more."""
        if not stored_events:
            return None
        originator_id = self._one_originator(stored_events)
        self._refuse_duplicates(stored_events)
        versions = [stored.originator_version for stored in stored_events]
        if any(later != earlier + 1 for earlier, later in pairwise(versions)):
            raise IntegrityError(f"Versions {versions} of {originator_id} do not follow one another.")
        with named_for_the_library(unknown=_unknown_events(originator_id, versions)):
            begin = None if self._is_new(originator_id, versions[0]) else self._first_version(originator_id)
            first = versions[0] if begin is None else begin
            if versions[0] < first:
                raise IntegrityError(
                    f"The versions of {originator_id} begin at {first}, so {versions[0]} cannot be recorded any more."
                )
            self.events.append(
                self.stream_type,
                str(originator_id),
                [to_event(stored) for stored in stored_events],
                expected_version=versions[0] - first,
            )
            self._remember(originator_id, first)
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """Return events in the order of their versions: 1 LIST per 1,000 saves, and 1 GET per save."""
        with named_for_the_library():
            wanted: dict[str, Any] = {"backwards": desc, "limit": limit}
            if gt is not None or lte is not None:
                first = self._first_version(originator_id)
                if first is None:
                    return []
                wanted["after"] = max(0, gt - first + 1) if gt is not None else 0
                wanted["until"] = max(0, lte - first + 1) if lte is not None else None
            found = [from_event(originator_id, event) for event in self._read(originator_id, **wanted)]
            if found and not desc and gt is None:
                self._remember(originator_id, found[0].originator_version)
            return found

    def _is_new(self, originator_id: UUID | str, version: int) -> bool:
        """Return whether there is no event yet, asking only where that is likely; the append then asks no more."""
        if version > 1 or str(originator_id) in self._begin:
            return False
        return self.events.version(self.stream_type, str(originator_id)) == 0

    def _first_version(self, originator_id: UUID | str) -> int | None:
        """Return the version of the aggregate's first event; `None` if there is none."""
        with self._lock:
            known = self._begin.get(str(originator_id))
            if known is not None:
                self._begin.move_to_end(str(originator_id))
                return known
        for event in self._read(originator_id, limit=1):
            self._remember(originator_id, event.metadata[VERSION])
            return int(event.metadata[VERSION])
        return None

    def _remember(self, originator_id: UUID | str, first: int) -> None:
        with self._lock:
            self._begin[str(originator_id)] = first
            self._begin.move_to_end(str(originator_id))
            while len(self._begin) > REMEMBERED:
                self._begin.popitem(last=False)


class S3ApplicationRecorder(S3AggregateRecorder, ApplicationRecorder):
    """Records the events of an application; there is no order between its aggregates."""

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Raise `NotSupportedError`."""
        _refuse()

    def max_notification_id(self) -> int | None:
        """Raise `NotSupportedError`."""
        _refuse()

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        """Raise `NotSupportedError`."""
        _refuse()


class S3SnapshotRecorder(_StreamRecorder, AggregateRecorder):
    """Records snapshots: versions may have gaps, and may be recorded in any order.

    Raises: as `S3AggregateRecorder`.
    """

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """Record snapshots of one aggregate: 1 LIST, 1 GET and 1 PUT, if they are newer than all before."""
        if not stored_events:
            return None
        originator_id = self._one_originator(stored_events)
        self._refuse_duplicates(stored_events)
        with named_for_the_library(unknown=_unknown_snapshot(originator_id, stored_events)):
            for attempt in range(ATTEMPTS):
                newest = self._newest(originator_id)
                self._refuse_taken(originator_id, stored_events, newest)
                try:
                    self.events.append(
                        self.stream_type,
                        str(originator_id),
                        _in_sequence(stored_events, newest),
                        expected_version=newest.position if newest else 0,
                    )
                except ConflictError:
                    if attempt == ATTEMPTS - 1:
                        raise
                else:
                    break
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """Return snapshots in the order of their versions; the newest of all costs 1 LIST and 1 GET."""
        with named_for_the_library():
            newest = self._newest(originator_id)
            if newest is None:
                return []
            found = self._backwards(originator_id, newest) if desc else self._read(originator_id)
            if not newest.metadata[ORDERED]:
                found = sorted(found, key=lambda event: int(event.metadata[VERSION]), reverse=desc)
            wanted = (event for event in found if _is_between(event.metadata[VERSION], gt, lte))
            return [from_event(originator_id, event) for event in islice(wanted, limit)]

    def _newest(self, originator_id: UUID | str) -> Event | None:
        return next(iter(self._read(originator_id, backwards=True, limit=1)), None)

    def _backwards(self, originator_id: UUID | str, newest: Event) -> Iterator[Event]:
        """Yield all snapshots, the newest first, and look for others only when they are asked for."""
        yield newest
        if newest.position > 1:
            yield from self._read(originator_id, backwards=True, until=newest.position - 1)

    def _refuse_taken(
        self, originator_id: UUID | str, stored_events: Sequence[StoredEvent], newest: Event | None
    ) -> None:
        """Raise `IntegrityError` if a version is there; only one that is not newer than all is looked for."""
        if newest is None or all(stored.originator_version > newest.metadata[GREATEST] for stored in stored_events):
            return
        taken = {event.metadata[VERSION] for event in self._read(originator_id)}
        for stored in stored_events:
            if stored.originator_version in taken:
                raise IntegrityError(
                    f"Version {stored.originator_version} of {originator_id} is recorded in {self.stream_type!r} "
                    "already."
                )


def _in_sequence(stored_events: Sequence[StoredEvent], newest: Event | None) -> list[Any]:
    """Return events that know the greatest version until them, and whether all came in order."""
    greatest = newest.metadata[GREATEST] if newest else None
    ordered = newest.metadata[ORDERED] if newest else True
    events = []
    for stored in stored_events:
        ordered = ordered and (greatest is None or stored.originator_version > greatest)
        greatest = stored.originator_version if greatest is None else max(greatest, stored.originator_version)
        events.append(to_event(stored, **{GREATEST: greatest, ORDERED: ordered}))
    return events


def _is_between(version: int, gt: int | None, lte: int | None) -> bool:
    return (gt is None or version > gt) and (lte is None or version <= lte)


def _unknown_events(originator_id: UUID | str, versions: Sequence[int]) -> str:
    return (
        f"Nobody can say whether aggregate {originator_id} was saved at version {versions[-1]}: it was sent, and no "
        "answer came. Load it again, and do not repeat the command before you looked. If it is at version "
        f"{versions[-1]} by this change, it was saved. If it is not, repeat the command on what you loaded, under the "
        "same id: at most one of both is saved."
    )


def _unknown_snapshot(originator_id: UUID | str, stored_events: Sequence[StoredEvent]) -> str:
    return (
        f"Nobody can say whether a snapshot of aggregate {originator_id} at version "
        f"{stored_events[-1].originator_version} was kept: it was sent, and no answer came. Events up to there were "
        "saved, so do not repeat the command. The aggregate is right with the snapshot and without it."
    )


def _refuse() -> NoReturn:
    raise NotSupportedError(NO_ORDER)
