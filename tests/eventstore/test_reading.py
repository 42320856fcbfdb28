"""Reading while others append, compact and collect; and what it costs."""

from __future__ import annotations

import gzip
import io
import json
import threading
from datetime import timedelta
from typing import Any

import pytest

from consistent_s3.core.errors import KeyMissingError, NotYetVisibleError, UnreachableError
from consistent_s3.core.retention import RetentionPolicy
from consistent_s3.core.seams import Attributes, PutMode
from consistent_s3.eventstore import DamagedStreamError, EventStore, StreamGapError, StreamTombstonedError
from consistent_s3.eventstore.events import NewEvent
from consistent_s3.eventstore.keys import StreamLayout, pad
from consistent_s3.eventstore.names import Stream
from consistent_s3.testing import ManualClock, MemoryObjectStore
from tests.core.faults import Faulty, fails, meanwhile
from tests.eventstore.building import append, grow, make_events, new_events, positions, requests

ORDER = Stream("order", "7")
LAYOUT = StreamLayout("events")
FIRST = LAYOUT.chunk_key(ORDER, 1)
DAY = timedelta(days=1)


def shrink(events: EventStore, clock: ManualClock) -> None:
    """Cover what can be covered, and collect it."""
    events.compact("order", "7")
    clock.advance(2 * DAY)
    events.collector(policy=RetentionPolicy()).run(dry_run=False)


@pytest.fixture
def rival(memory: MemoryObjectStore, clock: ManualClock) -> EventStore:
    return make_events(memory, clock)


# What it costs


def test_stream_costs_one_listing_and_one_get_for_each_chunk(memory, clock, rival):
    grow(rival, [3] * 20)
    store = Faulty(memory)

    assert positions(make_events(store, clock)) == list(range(1, 61))

    assert requests(store) == {"list": 1, "get": 20}


def test_long_stream_costs_one_listing_for_each_thousand_chunks(memory, clock, rival):
    for number in range(2_003):
        append(rival, 1, number)
    store = Faulty(memory)

    assert positions(make_events(store, clock)) == list(range(1, 2_004))

    assert requests(store) == {"list": 3, "get": 2_003}


@pytest.mark.parametrize(
    ("options", "cost"),
    [
        pytest.param({"after": 58}, {"list": 1, "get": 1}, id="what is new"),
        pytest.param({"limit": 3}, {"list": 1, "get": 1}, id="the first"),
        pytest.param({"limit": 4}, {"list": 1, "get": 2}, id="the first and one"),
        pytest.param({"backwards": True, "limit": 3}, {"list": 1, "get": 1}, id="the last"),
        pytest.param({"after": 10, "until": 12}, {"list": 1, "get": 1}, id="the middle"),
        pytest.param({"after": 60}, {"list": 1}, id="nothing new"),
        pytest.param({"limit": 0}, {}, id="nothing"),
        pytest.param({"until": 0}, {}, id="nothing either"),
    ],
)
def test_only_the_chunks_of_a_range_are_fetched(memory, clock, rival, options, cost):
    grow(rival, [3] * 20)
    store = Faulty(memory)

    positions(make_events(store, clock), **options)

    assert requests(store) == cost


def test_beginning_of_a_long_stream_is_not_listed_through(memory, clock, rival):
    for number in range(2_500):
        append(rival, 1, number)
    store = Faulty(memory)
    events = make_events(store, clock)

    first = positions(events, limit=5)
    cost = requests(store)
    last = positions(events, backwards=True, limit=5)

    assert (first, last) == ([1, 2, 3, 4, 5], [2500, 2499, 2498, 2497, 2496])
    assert cost == {"list": 2, "get": 5}
    assert requests(store) == {"list": 1, "get": 5}


def test_nothing_is_asked_before_the_first_event_is(memory, clock, rival):
    grow(rival, [1, 1, 1])
    store = Faulty(memory)

    reading = make_events(store, clock).read("order", "7")
    before = requests(store)
    next(reading)

    assert before == {}
    assert requests(store) == {"list": 1, "get": 1}


def test_chunks_are_on_their_way_several_at_once_and_in_order(memory, clock, rival):
    """Four GETs wait for each other: with fewer at once nobody would go on."""
    grow(rival, [1] * 12)
    together = threading.Barrier(4, timeout=60)

    class Together(Faulty):
        def get(self, key: str, **options: Any) -> Any:
            together.wait()
            return self.store.get(key, **options)

    events = make_events(Together(memory), clock, prefetch=4)

    assert positions(events) == list(range(1, 13))
    assert positions(events, backwards=True) == list(range(12, 0, -1))


def test_reader_that_breaks_off_waits_for_nothing_and_sends_no_more(memory, clock, rival):
    grow(rival, [1] * 50)
    broken_off, came = threading.Event(), []

    class Slow(Faulty):
        def get(self, key: str, **options: Any) -> Any:
            if key != FIRST:
                broken_off.wait(timeout=60)
            download = Faulty.__getattr__(self, "get")(key, **options)
            came.append(key)
            return download

    store = Slow(memory)
    reading = make_events(store, clock, prefetch=4).read("order", "7")

    next(reading)
    reading.close()  # type: ignore[attr-defined]
    before = [*came]
    broken_off.set()
    for thread in threading.enumerate():
        if thread.name.startswith("consistent-s3-chunks"):
            thread.join()

    assert before == [FIRST]
    assert len(came) <= 5


# What goes on meanwhile


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("prefetch", [1, 4])
def test_chunks_that_are_collected_while_they_are_read_leave_no_gap(memory, clock, rival, backwards, prefetch):
    grow(rival, [2, 1, 3, 2, 1])
    reading = make_events(memory, clock, prefetch=prefetch).read("order", "7", backwards=backwards)
    read = [next(reading).data]

    shrink(rival, clock)
    append(rival, 1, 9)
    read += [event.data for event in reading]

    assert read == (list(range(9, 0, -1)) if backwards else list(range(1, 10)))


def test_chunk_that_is_gone_is_read_from_what_covers_it(memory, clock, rival):
    grow(rival, [1] * 5)
    store = Faulty(memory, get=[None, meanwhile(lambda: shrink(rival, clock))])

    read = positions(make_events(store, clock))

    assert read == [1, 2, 3, 4, 5]
    assert requests(store) == {"list": 2, "get": 4}


def test_stream_that_is_ended_while_it_is_read_says_so_when_its_chunks_are_gone(memory, clock, rival):
    grow(rival, [1] * 5)
    reading = make_events(memory, clock).read("order", "7")
    next(reading)

    rival.tombstone("order", "7")
    clock.advance(2 * DAY)
    rival.collector(policy=RetentionPolicy(keep_for=DAY)).run(dry_run=False)

    with pytest.raises(StreamTombstonedError):
        list(reading)


def test_broken_answer_is_asked_for_again(memory, clock, rival):
    grow(rival, [1] * 3)
    broken = UnreachableError("The answer broke off.")
    store = Faulty(memory, get=[fails(broken), fails(broken), None, fails(broken)])

    assert positions(make_events(store, clock)) == [1, 2, 3]


def test_answer_that_breaks_again_and_again_is_an_error(memory, clock, rival):
    grow(rival, [1])
    store = Faulty(memory, get=[fails(UnreachableError("The answer broke off."))] * 9)

    with pytest.raises(UnreachableError):
        positions(make_events(store, clock))

    assert requests(store) == {"list": 1, "get": 5}


# What must not be passed over


@pytest.mark.parametrize("backwards", [False, True])
def test_gap_that_stays_is_an_error(memory, clock, rival, backwards):
    grow(rival, [2, 2, 2])
    memory.delete([LAYOUT.chunk_key(ORDER, 3)])

    with pytest.raises(StreamGapError) as caught:
        positions(rival, backwards=backwards)

    assert str(caught.value) == (
        "Event 3 of stream 'order/7' is gone: no chunk in the bucket has it, although the stream went on after it. "
        "Something else than this project has deleted it. Restore the object from a backup."
    )
    assert positions(rival, after=4) == [5, 6]
    assert positions(rival, limit=2) == [1, 2]


def test_whole_stream_that_vanishes_while_it_is_read_is_an_error(memory, clock, rival):
    grow(rival, [1, 1, 1])
    reading = rival.read("order", "7")
    next(reading)

    memory.delete(list(memory.keys))

    with pytest.raises(StreamGapError, match="Event 2 of stream"):
        next(reading)


def test_chunk_that_is_listed_and_denied_is_waited_for_and_then_an_error(memory, clock, rival):
    grow(rival, [1, 1, 1])
    missing = fails(KeyMissingError("There is none."))
    patient = Faulty(memory, get=[None, missing, missing, missing])
    hopeless = Faulty(memory, get=[None, *[missing] * 1000])

    assert positions(make_events(patient, clock)) == [1, 2, 3]
    with pytest.raises(NotYetVisibleError) as caught:
        positions(make_events(hopeless, clock))

    assert str(caught.value) == (
        "Stream 'order/7' has a chunk 'events/order/7/9999999999999999997.999999999' that is listed, but the store "
        "does not show it after 0:00:30. Its LIST or GET is not strongly consistent: streams are not safe there."
    )


def tampered(memory: MemoryObjectStore, data: bytes) -> None:
    memory.put(LAYOUT.chunk_key(ORDER, 1), io.BytesIO(data), mode=PutMode.OVERWRITE, attributes=Attributes())


def test_object_that_is_no_chunk_is_told(memory, clock, rival):
    tampered(memory, b"x")

    with pytest.raises(DamagedStreamError) as caught:
        positions(rival)

    assert str(caught.value) == (
        "'events/order/7/9999999999999999998.999999999' is no chunk of a stream: Not a gzipped file (b'x'). Something "
        "else has written there. Look at the object."
    )


EVENT = {"id": "819f01cd-8e0b-4203-8084-6a10d2e031ca", "type": "A", "data": 1, "time": "2026-01-01T00:00:00+00:00"}
SHAPES = [
    pytest.param({"events": None}, "its events are no list", id="no events"),
    pytest.param({"events": [EVENT], "snapshots": 7}, "its snapshots are no list", id="no snapshots"),
    pytest.param({"events": [EVENT, "text"]}, "number 2 of its events is none", id="text for an event"),
    pytest.param({"events": [{**EVENT, "id": 5}]}, "number 1 of its events is none", id="number for an id"),
    pytest.param({"events": [{"id": "", "type": "A", "time": ""}]}, "number 1 of its events is none", id="no data"),
    pytest.param({"events": [EVENT], "snapshots": [{}]}, "number 1 of its snapshots is none", id="empty snapshot"),
    pytest.param(
        {"events": [EVENT], "snapshots": [{"schema_version": 1, "position": "1", "state": 1}]},
        "number 1 of its snapshots is none",
        id="text for a position",
    ),
]


@pytest.mark.parametrize(("shape", "problem"), SHAPES)
def test_chunk_of_another_shape_is_told(memory, clock, rival, shape, problem):
    head = {"format": 1, "type": "order", "id": "7", "first": 1}
    tampered(memory, pad(gzip.compress(json.dumps(head | shape).encode()), 1))

    with pytest.raises(DamagedStreamError) as caught:
        positions(rival)

    assert str(caught.value) == (
        f"'events/order/7/9999999999999999998.999999999' is no chunk of a stream: {problem}. Something else has "
        "written there. Look at the object."
    )


def test_chunk_without_end_of_lists_is_told(memory, clock, rival):
    tampered(memory, pad(gzip.compress(b"[" * 200_000), 1))

    with pytest.raises(DamagedStreamError, match="is no chunk of a stream"):
        positions(rival)


def test_chunk_that_says_it_is_of_a_stream_with_control_characters_is_told_without_them(memory, clock, rival):
    tampered(memory, pad(gzip.compress(b'{"format": 1, "type": "\\u001b[31m", "id": "7", "first": 1}'), 1))

    with pytest.raises(DamagedStreamError) as caught:
        positions(rival)

    assert str(caught.value).isprintable()


def test_chunk_of_another_stream_is_told(memory, clock, rival):
    rival.append("order", "8", [NewEvent(type="A")], expected_version=0)
    tampered(memory, memory.get(LAYOUT.chunk_key(Stream("order", "8"), 1)).read(10_000))

    with pytest.raises(DamagedStreamError) as caught:
        positions(rival)

    assert str(caught.value) == (
        "'events/order/7/9999999999999999998.999999999' holds events of 'order/8' from 1, not of 'order/7' from 1. It "
        "was copied there: remove it."
    )


def test_chunk_of_a_later_format_is_told(memory, clock, rival):
    tampered(memory, gzip.compress(b'{"format": 2}'))

    with pytest.raises(
        DamagedStreamError, match=r"has format 2, and this version of consistent_s3 reads 1\. Update it\."
    ):
        positions(rival, limit=1)


def test_event_that_the_serializer_does_not_know_is_told(memory, clock, rival):
    class Picky:
        def encode(self, value: Any) -> Any:
            return value

        def decode(self, value: Any) -> Any:
            raise ValueError("what is this?")

    append(rival, 1, 0)

    with pytest.raises(DamagedStreamError) as caught:
        positions(make_events(memory, clock, serializer=Picky()))

    assert str(caught.value) == (
        "Event 1 cannot be read: ValueError('what is this?'). Use the serializer that it was written with."
    )


def test_error_of_the_projects_own_serializer_is_raised_as_it_is(memory, clock, rival):
    class Locked:
        def encode(self, value: Any) -> Any:
            return value

        def decode(self, value: Any) -> Any:
            raise DamagedStreamError("The key for this event is gone.")

    append(rival, 1, 0)

    with pytest.raises(DamagedStreamError, match=r"^The key for this event is gone\.$"):
        positions(make_events(memory, clock, serializer=Locked()))


def test_names_that_no_event_store_wrote_are_no_streams(memory, clock, rival):
    append(rival, 1, 0)
    for key in ("events/Order No/7/x", "events/order/a b/x"):
        memory.put(key, io.BytesIO(), mode=PutMode.CREATE, attributes=Attributes())

    assert list(rival.types()) == ["order"]
    assert list(rival.streams("order")) == ["7"]


def test_keys_of_other_software_between_chunks_are_passed_over(memory, clock, rival):
    grow(rival, [1, 1])
    for name in (".index", "9999999999999999997.x", "readme.txt"):
        memory.put(f"events/order/7/{name}", io.BytesIO(), mode=PutMode.CREATE, attributes=Attributes())

    assert positions(rival) == [1, 2]
    assert make_events(memory, clock).version("order", "7") == 2
    assert append(make_events(memory, clock), 1, 2).version == 3


@pytest.mark.parametrize("options", [{"after": -1}, {"until": -1}, {"limit": -1}])
def test_negative_range_is_refused_at_once(rival, options):
    with pytest.raises(ValueError, match="positions begin at 1, and none of these may be negative"):
        rival.read("order", "7", **options)


def test_chunks_are_told_newest_first(memory, clock, rival):
    grow(rival, [2, 1])
    rival.append("order", "70", new_events(1), expected_version=0)

    assert [(chunk.first, chunk.count) for chunk in rival.chunks("order", "7")] == [(3, 1), (1, 2)]
