"""Many small chunks become few, and nobody sees it."""

from __future__ import annotations

import random
import threading
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consistent_s3.core.errors import AccessDeniedError, KeyMissingError, PolicyError, PreconditionTrippedError
from consistent_s3.core.retention import RetentionPolicy
from consistent_s3.eventstore import EventStore, NewEvent, StreamGapError, StreamTombstonedError, compacting
from consistent_s3.eventstore.compacting import group
from consistent_s3.eventstore.cover import Piece
from consistent_s3.eventstore.keys import Chunk
from consistent_s3.testing import ManualClock, MemoryObjectStore
from tests.core.faults import Faulty, fails, lost_after, meanwhile
from tests.eventstore.building import append, grow, make_events, positions, requests


@pytest.fixture
def events(memory: MemoryObjectStore, clock: ManualClock) -> EventStore:
    return make_events(memory, clock)


def shape(events: EventStore) -> list[tuple[int, int, int]]:
    """Return first position, number of events and chunk version of all chunks, newest first."""
    return [(chunk.first, chunk.count, chunk.version) for chunk in events.chunks("order", "7")]


def test_small_chunks_are_covered_and_the_newest_is_left_alone(memory, clock, events):
    appended = grow(events, [1, 2, 3, 1])

    done = events.compact("order", "7")

    assert (done.chunks, done.covered, done.events, len(done.written)) == (4, 3, 6, 1)
    assert shape(events) == [(7, 1, 0), (4, 3, 0), (2, 2, 0), (1, 6, 1), (1, 1, 0)]
    assert list(events.read("order", "7")) == appended
    assert events.version("order", "7") == 7


def test_compacted_stream_is_read_with_fewer_requests(memory, clock, events):
    grow(events, [1] * 51)
    events.compact("order", "7", most=20)
    store = Faulty(memory)

    assert positions(make_events(store, clock)) == list(range(1, 52))

    assert requests(store) == {"list": 1, "get": 4}


def test_compaction_costs_a_get_for_each_chunk_covered_and_a_put_for_each_that_covers(memory, clock, events):
    grow(events, [1] * 51)
    store = Faulty(memory)

    make_events(store, clock).compact("order", "7", most=20)

    assert requests(store) == {"list": 1, "get": 50, "put": 3}


def test_compacting_again_does_nothing_until_there_is_more(memory, clock, events):
    grow(events, [1] * 21)
    events.compact("order", "7", most=20)
    store = Faulty(memory)
    again = make_events(store, clock)

    nothing = again.compact("order", "7", most=20)
    cost = requests(store)
    for version in range(21, 23):
        append(events, 1, version)
    more = again.compact("order", "7", most=20)

    assert (nothing.covered, nothing.written, cost) == (0, (), {"list": 1})
    assert (more.covered, more.events) == (2, 2)


def test_an_event_is_written_again_a_few_times_in_all(memory, clock, events):
    """However often a stream is compacted while it grows."""
    written = 0
    for version in range(150):
        append(events, 1, version)
        written += events.compact("order", "7", most=64).events

    assert positions(events) == list(range(1, 151))
    assert written / 150 <= 6
    assert len(list(events.chunks("order", "7"))) > 150
    assert len(events.compact("order", "7", most=150).written) <= 1


def test_dry_run_says_what_would_be_and_writes_nothing(memory, clock, events):
    grow(events, [1] * 10)
    before = list(memory.keys)

    planned = events.compact("order", "7", dry_run=True)

    assert (planned.dry_run, planned.covered, memory.keys) == (True, 9, before)
    assert events.compact("order", "7").written == planned.written


@pytest.mark.parametrize("sizes", [[], [5], [3, 2]])
def test_stream_with_nothing_to_cover_is_left_as_it_is(memory, events, sizes):
    grow(events, sizes)
    before = list(memory.keys)

    assert events.compact("order", "7").written == ()
    assert memory.keys == before


def test_covering_chunk_may_be_in_a_colder_storage_class(memory, clock, events):
    classes: dict[str, Any] = {}

    class Noting(Faulty):
        def put(self, key: str, body: Any, *, attributes: Any, **options: Any) -> Any:
            classes[key] = attributes.extra
            return super().put(key, body, attributes=attributes, **options)

    grow(events, [1] * 5)
    cold = make_events(Noting(memory), clock, extra={"ServerSideEncryption": "AES256"})

    done = cold.compact("order", "7", storage_class="STANDARD_IA")

    assert classes == {done.written[0]: {"ServerSideEncryption": "AES256", "StorageClass": "STANDARD_IA"}}


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"most": 1}, "most is 1. Let a chunk cover 2 to 10000 events."),
        ({"most": 10_001}, "most is 10001. Let a chunk cover 2 to 10000 events."),
        (
            {"storage_class": "cold"},
            (
                "storage_class is 'cold', which is no storage class. Their names are words of capital letters, for "
                "example 'STANDARD_IA'."
            ),
        ),
        (
            {"storage_class": "GLACIER"},
            (
                "storage_class is 'GLACIER', whose objects cannot be read at once, and streams are read from their "
                "beginning. Choose another, for example 'GLACIER_IR'."
            ),
        ),
    ],
)
def test_options_that_make_no_sense_are_refused(events, options, error):
    with pytest.raises(PolicyError) as caught:
        events.compact("order", "7", **options)

    assert str(caught.value) == error


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_event_store_whose_chunks_could_not_be_read_at_once_is_refused(memory, clock, storage_class):
    with pytest.raises(PolicyError) as caught:
        make_events(memory, clock, extra={"StorageClass": storage_class})

    assert str(caught.value) == (
        f"The StorageClass of what is put is {storage_class!r}, whose objects cannot be read at once, and streams are "
        "read from their beginning. Choose another, for example 'GLACIER_IR'."
    )


def test_ended_stream_is_not_compacted(events):
    grow(events, [1] * 5)
    events.tombstone("order", "7")

    with pytest.raises(StreamTombstonedError):
        events.compact("order", "7")


def test_stream_with_a_gap_is_not_compacted(memory, events):
    grow(events, [1] * 5)
    memory.delete([memory.keys[2]])
    before = list(memory.keys)

    with pytest.raises(StreamGapError):
        events.compact("order", "7")

    assert memory.keys == before


@pytest.mark.parametrize("fault", [fails(PreconditionTrippedError("Another was first.")), lost_after])
def test_who_meets_another_compaction_has_lost_nothing(memory, clock, events, fault):
    appended = grow(events, [1] * 5)

    done = make_events(Faulty(memory, put=[fault]), clock).compact("order", "7")

    assert done.written == ()
    assert list(events.read("order", "7")) == appended


def test_chunk_that_is_collected_while_it_is_compacted_is_left_to_the_other(memory, clock, events):
    appended = grow(events, [1] * 9)

    def another() -> None:
        events.compact("order", "7")
        clock.advance(timedelta(days=2))
        events.collector(policy=RetentionPolicy()).run(dry_run=False)

    done = make_events(Faulty(memory, get=[None, meanwhile(another)]), clock).compact("order", "7")

    assert done.written == ()
    assert list(events.read("order", "7")) == appended


def test_compactions_that_overlap_leave_no_gap_and_no_event_twice(memory, clock, events):
    """Two that saw the stream at different times, with other sizes, and then the collector."""
    appended = grow(events, [1] * 20)
    late = Faulty(memory, put=[meanwhile(lambda: events.compact("order", "7", most=7))] * 3)

    make_events(late, clock).compact("order", "7", most=12)

    assert list(events.read("order", "7")) == appended
    clock.advance(timedelta(days=2))
    events.collector(policy=RetentionPolicy()).run(dry_run=False)
    assert list(events.read("order", "7")) == appended
    for version in range(20, 25):
        appended += append(events, 1, version).events
    assert events.compact("order", "7", most=100).covered == 7
    clock.advance(timedelta(days=2))
    events.collector(policy=RetentionPolicy()).run(dry_run=False)
    assert shape(events) == [(25, 1, 0), (1, 24, 2)]
    assert list(events.read("order", "7")) == appended


def test_of_chunks_that_overlap_each_event_is_covered_once(memory, clock, events):
    """17 to 19 by one compaction, 13 to 18 by another: of the first only 19 is needed."""
    appended = grow(events, [1] * 20)
    late = Faulty(memory, put=[meanwhile(lambda: events.compact("order", "7", most=6))])
    make_events(late, clock).compact("order", "7", most=4)

    done = events.compact("order", "7", most=100)

    assert (done.chunks, done.covered, done.events) == (5, 4, 19)
    assert list(events.read("order", "7")) == appended
    clock.advance(timedelta(days=2))
    assert events.collector(policy=RetentionPolicy()).run(dry_run=False).error_count == 0
    assert shape(events) == [(20, 1, 0), (1, 19, 2)]
    assert list(events.read("order", "7")) == appended


def test_refusal_to_write_is_an_error(memory, clock, events):
    grow(events, [1] * 5)

    with pytest.raises(AccessDeniedError):
        make_events(Faulty(memory, put=[fails(AccessDeniedError("No."))]), clock).compact("order", "7")


# Which pieces are covered together


def piece(first: int, count: int, size: int = 1024) -> Piece:
    chunk = Chunk(key=str(first), first=first, count=count, size=size)
    return Piece(chunk=chunk, first=first, last=chunk.last)


@settings(deadline=None)
@given(st.lists(st.integers(1, 30), max_size=40), st.integers(2, 40))
def test_groups_are_neighbours_with_no_more_events_than_allowed(counts, most):
    pieces, first = [], 1
    for count in counts:
        pieces.append(piece(first, count))
        first += count

    groups = group(pieces, most=most)

    grouped = [one for found in groups for one in found]
    assert grouped == sorted(grouped, key=lambda one: one.first)
    for found in groups:
        assert len(found) > 1
        assert all(one.last + 1 == other.first for one, other in pairwise(found))
        events = found[-1].last - found[0].first + 1
        assert 2 * max(one.chunk.count for one in found) <= events <= most


def test_large_bytes_are_not_covered_together():
    megabytes = 1024**2

    groups = group([piece(n, 1, size=7 * megabytes) for n in range(1, 6)], most=1000)

    assert [[one.first for one in found] for found in groups] == [[1, 2], [3, 4]]


def test_what_is_large_before_it_is_compressed_is_not_covered_together(memory, clock, events, monkeypatch):
    """A covering chunk is read, and held, whole."""
    for version in range(10):
        events.append("order", "7", [NewEvent(type="A", data="x" * 10_000)], expected_version=version)
    monkeypatch.setattr(compacting, "MOST_BYTES", 45_000)

    planned = events.compact("order", "7", dry_run=True)
    done = events.compact("order", "7")
    again = events.compact("order", "7")

    assert [chunk[:2] for chunk in shape(events) if chunk[2]] == [(5, 4), (1, 4)]
    assert (planned.covered, len(planned.written)) == (9, 1)
    assert (done.covered, done.events, len(done.written), again.written) == (8, 8, 2, ())
    assert positions(events) == list(range(1, 11))


def test_of_what_does_not_fit_into_one_chunk_only_what_is_worth_it_is_covered(memory, clock, events, monkeypatch):
    """The rest of a group may be one chunk with many events, and few others."""
    sizes = [1, 1, 6, 1, 1, 1]
    appended = []
    for size in [*sizes, 1]:
        new = [NewEvent(type="A", data="x" * 1_000) for _ in range(size)]
        appended += events.append("order", "7", new, expected_version=len(appended)).events
    monkeypatch.setattr(compacting, "MOST_BYTES", 10_000)

    events.compact("order", "7")

    assert [chunk[:2] for chunk in shape(events) if chunk[2]] == [(9, 3), (1, 2)]
    assert list(events.read("order", "7")) == appended


def test_chunk_larger_than_its_neighbours_together_is_left_alone():
    sizes = [1, 1, 9, 2, 1, 2]

    groups = group([piece(1 + sum(sizes[:place]), size) for place, size in enumerate(sizes)], most=100)

    assert [[one.chunk.count for one in found] for found in groups] == [[1, 1], [2, 1, 2]]


def test_half_full_chunks_are_left_alone():
    assert group([piece(1, 600), piece(601, 1), piece(602, 1), piece(603, 501)], most=1000) == [
        [piece(601, 1), piece(602, 1)]
    ]


# Others at the same time


def test_readers_and_writers_never_see_a_compaction(memory):
    """Threads, real ones: four readers each way, two writers, a compactor that collects what is older than a moment."""
    clock = ManualClock()
    done = threading.Event()
    problems: list[str] = []
    writer = make_events(memory, clock)
    grow(writer, [1] * 50)

    def read(seed: int) -> None:
        events, chance, longest = make_events(memory, clock, prefetch=2), random.Random(seed), 0
        while not done.is_set():
            backwards = chance.random() < 0.5
            seen = [event.data for event in events.read("order", "7", backwards=backwards)]
            seen = seen[::-1] if backwards else seen
            if seen != list(range(1, len(seen) + 1)) or len(seen) < longest:
                problems.append(f"{longest} and then {seen}")
            longest = len(seen)

    def compact() -> None:
        events, chance = make_events(memory, clock), random.Random(7)
        while not done.is_set():
            events.compact("order", "7", most=chance.randrange(2, 60))
            events.state("order", "7", lambda state, event: event.data, 0, schema_version=1, snapshot_every=1)
            clock.advance(timedelta(days=2))
            events.collector(policy=RetentionPolicy()).run(dry_run=False)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)] + [threading.Thread(target=compact)]
    for thread in threads:
        thread.start()
    try:
        for number in range(51, 251):
            writer.append("order", "7", [NewEvent(type="Added", data=number)], expected_version=number - 1)
    finally:
        done.set()
        for thread in threads:
            thread.join()

    assert problems == []
    assert positions(writer) == list(range(1, 251))


@settings(deadline=None)
@given(st.data())
def test_whatever_is_done_the_stream_stays_what_was_appended(data):
    """Appends, snapshots, compactions, collections half carried out: the first key tells the version, all is read."""
    clock = ManualClock()
    memory = MemoryObjectStore(clock=clock)
    events = make_events(memory, clock)
    expected: list[int] = []
    for _ in range(data.draw(st.integers(1, 15))):
        match data.draw(st.sampled_from(["append", "append", "append", "snapshot", "compact", "collect", "keep some"])):
            case "append":
                grown = [len(expected) + 1 + number for number in range(data.draw(st.integers(1, 4)))]
                new = [NewEvent(type="Added", data=number) for number in grown]
                events.append("order", "7", new, expected_version=len(expected))
                expected += grown
            case "snapshot":
                version = data.draw(st.integers(1, 2))
                folded = events.state(
                    "order", "7", lambda state, event: state + event.data, 0, schema_version=version, snapshot_every=1
                )
                assert (folded.state, folded.version) == (sum(expected), len(expected))
            case "compact":
                events.compact("order", "7", most=data.draw(st.integers(2, 12)))
            case what:
                clock.advance(timedelta(days=2))
                stubborn = Stubborn(memory, data.draw(st.randoms()) if what == "keep some" else None)
                make_events(stubborn, clock).collector(policy=RetentionPolicy()).run(dry_run=False)
        assert make_events(memory, clock).version("order", "7") == len(expected)
        assert [event.data for event in events.read("order", "7")] == expected


class Stubborn:
    """Keeps half of what it is asked to delete, as a store that answers with errors does."""

    def __init__(self, inner: MemoryObjectStore, chance: random.Random | None) -> None:
        self.inner, self.chance = inner, chance

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def delete(self, keys: Any) -> Any:
        from consistent_s3.core.seams import DeleteFailure

        kept = [] if self.chance is None else [key for key in keys if self.chance.random() < 0.5]
        self.inner.delete([key for key in keys if key not in kept])
        return [DeleteFailure(key=key, code="InternalError", message="Try again.") for key in kept]


def test_a_get_that_is_denied_is_no_reason_to_cover_less_than_there_is(memory, clock, events):
    grow(events, [1] * 5)
    missing = KeyMissingError("There is none.")

    done = make_events(Faulty(memory, get=[None, fails(missing)]), clock).compact("order", "7")

    assert done.written == ()
