"""The library's own tests of a recorder, on a real S3 server, and what they do not ask."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from eventsourcing.persistence import (
    DataError,
    IntegrityError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    StoredEvent,
)
from eventsourcing.tests.persistence import AggregateRecorderTestCase

from consistent_s3.core.errors import OutcomeUnknownError, PreconditionTrippedError, UnreachableError
from consistent_s3.core.s3 import S3ObjectStore
from consistent_s3.eventsourcing import S3AggregateRecorder, S3ApplicationRecorder, S3SnapshotRecorder
from consistent_s3.eventsourcing import recorders as module
from consistent_s3.eventstore import EventStore
from consistent_s3.testing import ManualClock, MemoryObjectStore, assert_requests
from tests.core.faults import Faulty, fails, lands_late, lost_after, lost_before
from tests.eventstore.building import make_events


class TestEvents(AggregateRecorderTestCase):
    @pytest.fixture(autouse=True)
    def _on(self, events: EventStore) -> None:
        self.events = events

    def create_recorder(self) -> S3AggregateRecorder:
        return S3AggregateRecorder(self.events, stream_type="bank_events")


class TestEventsThatBeginAtZero(TestEvents):
    INITIAL_VERSION = 0
    test_performance = None  # it prints a figure, and asserts nothing


class TestApplicationEvents(TestEvents):
    test_performance = None

    def create_recorder(self) -> S3ApplicationRecorder:
        return S3ApplicationRecorder(self.events, stream_type="bank_events")


class TestSnapshots(TestEvents):
    test_performance = None

    def create_recorder(self) -> S3SnapshotRecorder:
        return S3SnapshotRecorder(self.events, stream_type="bank_snapshots")


def stored(originator, version: int, *, state: bytes = b"{}", topic: str = "bank:Opened") -> StoredEvent:
    return StoredEvent(originator_id=originator, originator_version=version, topic=topic, state=state)


def versions(found) -> list[int]:
    return [event.originator_version for event in found]


@pytest.fixture
def recorder(events) -> S3AggregateRecorder:
    return S3AggregateRecorder(events, stream_type="events")


@pytest.fixture
def snapshots(events) -> S3SnapshotRecorder:
    return S3SnapshotRecorder(events, stream_type="snapshots")


def test_events_of_two_aggregates_at_once_are_refused(recorder):
    with pytest.raises(NotSupportedError, match="Events of 2 aggregates cannot be recorded as one on S3"):
        recorder.insert_events([stored(uuid4(), 1), stored(uuid4(), 1)])


def test_versions_with_a_gap_are_refused(recorder):
    originator = uuid4()
    recorder.insert_events([stored(originator, 1)])

    with pytest.raises(IntegrityError, match="do not follow one another"):
        recorder.insert_events([stored(originator, 2), stored(originator, 4)])
    with pytest.raises(IntegrityError, match="1"):
        recorder.insert_events([stored(originator, 3)])

    assert versions(recorder.select_events(originator)) == [1]


def test_version_below_the_first_is_refused(recorder):
    originator = uuid4()
    recorder.insert_events([stored(originator, 5)])

    with pytest.raises(IntegrityError, match="begin at 5, so 4 cannot be recorded any more"):
        recorder.insert_events([stored(originator, 4)])


@pytest.mark.parametrize("begin", [0, 1, 7])
def test_ranges_are_right_wherever_versions_begin(events, begin):
    originator = uuid4()
    S3AggregateRecorder(events, stream_type="events").insert_events(
        [stored(originator, begin + number) for number in range(5)]
    )

    def select(**wanted):
        return versions(S3AggregateRecorder(events, stream_type="events").select_events(originator, **wanted))

    assert select(gt=begin) == [begin + 1, begin + 2, begin + 3, begin + 4]
    assert select(gt=begin - 5) == [begin, begin + 1, begin + 2, begin + 3, begin + 4]
    assert select(lte=begin + 1) == [begin, begin + 1]
    assert select(lte=begin - 1) == []
    assert select(gt=begin, lte=begin + 3, desc=True, limit=2) == [begin + 3, begin + 2]
    assert select(gt=begin + 4) == []


@pytest.mark.parametrize("state", [b"", b'{"a": "\xc3\xbc"}', b"\xff\x00\x80", bytes(range(256))])
def test_state_comes_back_byte_by_byte(recorder, state):
    originator = uuid4()

    recorder.insert_events([stored(originator, 1, state=state)])

    assert recorder.select_events(originator) == [stored(originator, 1, state=state)]


def test_long_topic_comes_back_whole(recorder):
    originator, topic = uuid4(), "package." * 40 + "module:Aggregate.Event"

    recorder.insert_events([stored(originator, 1, topic=topic)])

    assert recorder.select_events(originator)[0].topic == topic


def test_originator_may_be_a_text(recorder):
    recorder.insert_events([stored("konto/Müller".replace("/", "-"), 1)])

    assert versions(recorder.select_events("konto-Müller")) == [1]


def test_our_errors_are_the_librarys(recorder, events):
    with pytest.raises(DataError, match="The id of a stream"):
        recorder.insert_events([stored("a/b", 1)])

    events.append("events", "ended", [module.to_event(stored("ended", 1))], expected_version=0)
    events.tombstone("events", "ended")
    with pytest.raises(ProgrammingError, match="ended by a tombstone"):
        recorder.insert_events([stored("ended", 2)])

    nowhere = EventStore(S3ObjectStore(client=events.store.client, bucket="nowhere"), "events")
    with pytest.raises(OperationalError, match="nowhere"):
        S3AggregateRecorder(nowhere, stream_type="events").insert_events([stored("a", 1)])


UNKNOWN = (
    "Nobody can say whether aggregate {id} was saved at version 3: it was sent, and no answer came. Load it again, and "
    "do not repeat the command before you looked. If it is at version 3 by this change, it was saved. If it is not, "
    "repeat the command on what you loaded, under the same id: at most one of both is saved."
)
UNKNOWN_SNAPSHOT = (
    "Nobody can say whether a snapshot of aggregate {id} at version 20 was kept: it was sent, and no answer came. "
    "Events up to there were saved, so do not repeat the command. The aggregate is right with the snapshot and "
    "without it."
)


def in_memory(**faults: list[Any]) -> tuple[EventStore, EventStore]:
    """Return two event stores on one bucket, the first with faults."""
    clock = ManualClock()
    memory = MemoryObjectStore(clock=clock)
    return make_events(Faulty(memory, **faults), clock), make_events(memory, clock)


def test_events_whose_answer_was_lost_are_recorded_once():
    faulty, events = in_memory(put=[None, lost_after])
    recorder = S3AggregateRecorder(faulty, stream_type="events")
    recorder.insert_events([stored("a", 1)])

    recorder.insert_events([stored("a", 2), stored("a", 3)])
    recorder.insert_events([stored("a", 4)])

    assert versions(S3AggregateRecorder(events, stream_type="events").select_events("a")) == [1, 2, 3, 4]


@pytest.mark.parametrize(("fault", "there"), [(lost_after, [1, 2, 3]), (lost_before, [1])], ids=["landed", "lost"])
def test_events_of_which_nobody_can_say_are_there_once_or_not_and_the_words_tell_what_to_do(fault, there):
    faulty, events = in_memory(put=[None, fault], head=[fails(UnreachableError("No answer."))])
    recorder = S3AggregateRecorder(faulty, stream_type="events")
    recorder.insert_events([stored("a", 1)])

    with pytest.raises(OperationalError) as told:
        recorder.insert_events([stored("a", 2), stored("a", 3)])

    assert str(told.value) == UNKNOWN.format(id="a")
    assert isinstance(told.value.__cause__, OutcomeUnknownError)
    assert versions(recorder.select_events("a")) == there
    recorder.insert_events([stored("a", there[-1] + 1)])  # the command on what was loaded
    assert versions(S3AggregateRecorder(events, stream_type="events").select_events("a")) == [*there, there[-1] + 1]


def test_of_events_that_land_late_and_those_of_the_repeated_command_one_is_saved():
    clock = ManualClock()
    memory = MemoryObjectStore(clock=clock)
    late = Faulty(memory, put=[lands_late], head=[fails(UnreachableError("No answer."))])
    recorder = S3AggregateRecorder(make_events(late, clock), stream_type="events")
    with pytest.raises(OperationalError, match="at most one of both is saved"):
        recorder.insert_events([stored("a", 1, state=b"first")])

    recorder.insert_events([stored("a", 1, state=b"again")])
    with pytest.raises(PreconditionTrippedError):
        late.land()

    assert [event.state for event in recorder.select_events("a")] == [b"again"]


@pytest.mark.parametrize(("fault", "there"), [(lost_after, [10, 20]), (lost_before, [10])], ids=["landed", "lost"])
def test_snapshot_of_which_nobody_can_say_asks_for_nothing(fault, there):
    faulty, _ = in_memory(put=[None, fault], head=[fails(UnreachableError("No answer."))])
    snapshots = S3SnapshotRecorder(faulty, stream_type="snapshots")
    snapshots.insert_events([stored("a", 10)])

    with pytest.raises(OperationalError) as told:
        snapshots.insert_events([stored("a", 20)])

    assert str(told.value) == UNKNOWN_SNAPSHOT.format(id="a")
    assert versions(snapshots.select_events("a")) == there


def test_of_racing_savers_one_wins(events):
    originator = uuid4()

    def save(_: int) -> bool:
        try:
            S3AggregateRecorder(events, stream_type="events").insert_events([stored(originator, 1)])
        except IntegrityError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(save, range(8)))

    assert sum(won) == 1
    assert versions(S3AggregateRecorder(events, stream_type="events").select_events(originator)) == [1]


def test_requests_of_events(storage, events):
    originator = uuid4()
    recorder = S3AggregateRecorder(events, stream_type="events")

    with assert_requests(storage, LIST=1, PUT=1):
        recorder.insert_events([stored(originator, 1), stored(originator, 2)])
    with assert_requests(storage, PUT=1):
        recorder.insert_events([stored(originator, 3)])
    with assert_requests(storage, LIST=1, GET=2):
        recorder.select_events(originator)
    with assert_requests(storage, LIST=1, GET=1):
        recorder.select_events(originator, gt=2)
    with assert_requests(storage, LIST=2, GET=2):  # another process
        S3AggregateRecorder(events, stream_type="events").select_events(originator, gt=2)


def test_who_only_read_an_aggregate_asks_for_its_version_before_it_records(storage, events):
    originator = uuid4()
    S3AggregateRecorder(events, stream_type="events").insert_events([stored(originator, 1)])
    another = EventStore(storage.make_object_store(), "events", place=events.place)
    recorder = S3AggregateRecorder(another, stream_type="events")
    recorder.select_events(originator)

    with assert_requests(storage, LIST=1, PUT=1):
        recorder.insert_events([stored(originator, 2)])


def test_requests_of_snapshots(storage, snapshots):
    originator = uuid4()
    snapshots.insert_events([stored(originator, 10)])

    with assert_requests(storage, LIST=1, GET=1, PUT=1):
        snapshots.insert_events([stored(originator, 20)])
    with assert_requests(storage, LIST=1, GET=1):
        assert versions(snapshots.select_events(originator, desc=True, limit=1)) == [20]


def test_recorder_forgets_where_versions_begin_beyond_a_number(events, monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED", 2)
    recorder = S3AggregateRecorder(events, stream_type="events")

    for name in "abc":
        recorder.insert_events([stored(name, 1)])

    assert list(recorder._begin) == ["b", "c"]
    recorder.insert_events([stored("a", 2)])
    assert versions(recorder.select_events("a")) == [1, 2]


def test_older_snapshot_may_come_later_and_is_found_in_its_place(snapshots):
    originator = uuid4()
    for version in (10, 30, 20):
        snapshots.insert_events([stored(originator, version)])

    assert versions(snapshots.select_events(originator)) == [10, 20, 30]
    assert versions(snapshots.select_events(originator, desc=True, limit=1)) == [30]
    assert versions(snapshots.select_events(originator, lte=25, desc=True, limit=1)) == [20]
    assert versions(snapshots.select_events(originator, gt=10)) == [20, 30]
    with pytest.raises(IntegrityError, match="Version 20 of"):
        snapshots.insert_events([stored(originator, 20)])
    assert versions(snapshots.select_events(uuid4(), desc=True)) == []


def test_snapshots_that_race_are_all_kept(events):
    originator = uuid4()

    def save(version: int) -> None:
        S3SnapshotRecorder(events, stream_type="snapshots").insert_events([stored(originator, version)])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(save, (10, 20, 30, 40)))

    found = S3SnapshotRecorder(events, stream_type="snapshots").select_events(originator)
    assert versions(found) == [10, 20, 30, 40]


def test_snapshot_that_always_meets_another_gives_up(events, monkeypatch):
    originator = uuid4()
    snapshots = S3SnapshotRecorder(events, stream_type="snapshots")
    snapshots.insert_events([stored(originator, 10)])
    monkeypatch.setattr(snapshots, "_read", lambda *_, **__: iter(()))  # it never sees what is there

    with pytest.raises(IntegrityError, match="1"):
        snapshots.insert_events([stored(originator, 20)])


@pytest.mark.parametrize(
    "ask",
    [
        lambda recorder: recorder.select_notifications(1, 10),
        lambda recorder: recorder.max_notification_id(),
        lambda recorder: recorder.subscribe(),
    ],
    ids=["select", "max", "subscribe"],
)
def test_order_between_aggregates_is_refused(events, ask):
    with pytest.raises(NotSupportedError, match="There is no order between the aggregates of an application on S3"):
        ask(S3ApplicationRecorder(events, stream_type="events"))
