"""All streams of an event store, one after the other: found, compacted within limits, watched."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consistent_s3.core.errors import PolicyError, UnreachableError
from consistent_s3.core.seams import Attributes, PutMode
from consistent_s3.eventstore.names import Stream
from consistent_s3.streams import EventStore, NewEvent
from consistent_s3.streams.tailing import Tail
from consistent_s3.streams.walking import compact_all, walk
from consistent_s3.testing import ManualClock, MemoryObjectStore
from tests.core.faults import Faulty, fails
from tests.eventstore.building import make_events, requests
from tests.streams.conftest import fill

SECOND = timedelta(seconds=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def memory(clock: ManualClock) -> MemoryObjectStore:
    return MemoryObjectStore(clock=clock)


@pytest.fixture
def events(memory: MemoryObjectStore, clock: ManualClock) -> EventStore:
    """Return an event store with three streams of two types; that of `order/8` is short."""
    events = make_events(memory, clock)
    fill(events, "7", *range(15))
    fill(events, "8", *range(3))
    fill(events, "1", *range(15), stream_type="orders")
    return events


def chunk_count(events: EventStore, *stream: str) -> int:
    return len(list(events.chunks(*stream)))


def test_walk_finds_every_stream_once(events):
    found = [(found.stream.name, len(found.chunks)) for found in walk(events)]

    assert found == [("order/7", 15), ("order/8", 3), ("orders/1", 15)]


def test_walk_of_a_type_leaves_out_types_that_begin_alike(events):
    assert [found.stream.name for found in walk(events, stream_type="order")] == ["order/7", "order/8"]
    assert [found.stream.name for found in walk(events, stream_type="orders")] == ["orders/1"]


def test_walk_goes_on_after_a_place(events):
    first = next(walk(events))

    assert [found.stream.name for found in walk(events, after=first.end)] == ["order/8", "orders/1"]


def test_streams_with_much_to_cover_are_compacted_and_the_others_left_alone(events):
    result = compact_all(events)

    assert result.as_dict() == {
        "dry_run": False,
        "streams": 3,
        "compacted": 2,
        "covered": 28,
        "written": 2,
        "failures": {},
        "rest": "",
    }
    assert [chunk_count(events, "order", "7"), chunk_count(events, "order", "8")] == [16, 3]


def test_compacting_again_finds_nothing(events):
    compact_all(events)

    assert compact_all(events).covered == 0


def test_dry_run_says_the_same_and_writes_nothing(events, memory):
    before = memory.keys

    result = compact_all(events, dry_run=True)

    assert (result.compacted, result.covered, result.written) == (2, 28, 2)
    assert memory.keys == before


def test_what_needs_nothing_is_found_by_one_list(events, memory, clock):
    compact_all(events)
    faulty = Faulty(memory)

    compact_all(make_events(faulty, clock))

    assert requests(faulty) == {"list": 1}


def test_time_that_is_over_leaves_a_rest_to_go_on_with(events, clock):
    def tell(*_: Any) -> None:
        clock.advance(SECOND)

    first = compact_all(events, seconds=1, tell=tell)
    second = compact_all(events, after=first.rest, seconds=1, tell=tell)

    assert (first.streams, first.compacted, bool(first.rest)) == (1, 1, True)
    assert (second.streams, second.compacted, second.rest) == (2, 1, "")


def test_no_time_at_all_gets_one_stream_further(events):
    rests = [""]
    while (rest := compact_all(events, after=rests[-1], seconds=0).rest) not in rests:
        rests.append(rest)

    assert len(rests) == 3
    assert chunk_count(events, "orders", "1") == 16


def test_stream_that_is_damaged_stops_no_other(events, memory):
    broken = next(key for key in reversed(memory.keys) if "/order/7/" in key)
    memory.put(broken, io.BytesIO(b"x" * 1025), mode=PutMode.OVERWRITE, attributes=Attributes())

    result = compact_all(events)

    assert list(result.failures) == ["order/7"]
    assert result.failures["order/7"].startswith(f"{broken!r} is no chunk of a stream: ")
    assert result.compacted == 1


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"most": 0}, "most is 0. Let a chunk cover 2 to 10000 events."),
        ({"storage_class": "no such"}, "storage_class is 'no such', which is no storage class."),
    ],
    ids=["most", "storage class"],
)
def test_what_no_stream_can_be_compacted_with_is_refused_before_any_request(memory, clock, choice, said):
    faulty = Faulty(memory)

    with pytest.raises(PolicyError) as refused:
        compact_all(make_events(faulty, clock), **choice)

    assert str(refused.value).startswith(said)
    assert requests(faulty) == {}


def test_ended_stream_is_left_alone(events):
    events.tombstone("order", "7")

    assert compact_all(events).compacted == 1


# Watching


def names(told: list[Any]) -> list[str]:
    return [f"{stream.name} {event.position if event else 'ended'}" for stream, event in told]


def test_last_events_of_all_streams_are_those_written_last(events, clock):
    clock.advance(SECOND)
    fill(events, "8", 1)
    clock.advance(SECOND)
    fill(events, "7", 1)

    told = Tail(events=events).last(3)

    assert names(told)[-2:] == ["order/8 4", "order/7 16"]
    assert len(told) == 3


def test_last_events_are_in_order_whatever_the_clocks_of_their_writers_say(memory, clock):
    events = make_events(memory, clock)
    for stream_id, years in [("1", [2025, 2020]), ("2", [2024, 2030, 2024])]:
        clock.advance(SECOND)
        new = [NewEvent(type="Paid", time=datetime(year, 1, 1, tzinfo=UTC)) for year in years]
        events.append("order", stream_id, new, expected_version=0)

    last = {count: names(Tail(events=events).last(count)) for count in range(1, 7)}

    assert last[6] == ["order/2 1", "order/1 1", "order/1 2", "order/2 2", "order/2 3"]
    assert all(told == last[6][-count:] for count, told in last.items())


def test_streams_that_were_appended_to_too_long_ago_are_not_read(memory, clock):
    events = make_events(memory, clock)
    for number in range(10):
        for version in range(2):
            clock.advance(SECOND)
            new = [NewEvent(type="Paid", time=clock.now())]
            events.append("order", f"{number}", new, expected_version=version)
    faulty = Faulty(memory)

    told = Tail(events=make_events(faulty, clock)).last(3)

    assert names(told) == ["order/8 2", "order/9 1", "order/9 2"]
    assert {key.split("/")[2] for key in faulty.keys("get")} == {"8", "9"}


def test_last_events_of_one_stream_cost_one_list_and_what_is_read(memory, events, clock):
    faulty = Faulty(memory)

    told = Tail(events=make_events(faulty, clock), streams=[Stream("order", "7")]).last(2)

    assert names(told) == ["order/7 14", "order/7 15"]
    assert requests(faulty) == {"list": 2, "get": 2}


def test_what_is_appended_afterwards_follows_once(events):
    tail = Tail(events=events, stream_type="order")
    tail.last(0)
    fill(events, "8", 1, 2)
    fill(events, "9", 1)
    fill(events, "1", 1, stream_type="orders")

    assert names(list(tail.next())) == ["order/8 4", "order/8 5", "order/9 1"]
    assert list(tail.next()) == []


def test_end_of_a_stream_is_told_once(events):
    tail = Tail(events=events, streams=[Stream("order", "8")])
    tail.last(0)
    events.tombstone("order", "8")

    assert names(list(tail.next())) == ["order/8 ended"]
    assert list(tail.next()) == []
    assert Tail(events=events, streams=[Stream("order", "8")]).last(5) == []


def test_what_was_appended_right_before_a_stream_was_ended_is_not_told(events):
    tail = Tail(events=events, streams=[Stream("order", "8")])
    tail.last(0)
    fill(events, "8", 4)
    events.tombstone("order", "8")

    assert names(list(tail.next())) == ["order/8 ended"]


def test_following_looks_again_after_each_pause(events, clock):
    tail = Tail(events=events, streams=[Stream("order", "8")])
    tail.last(0)
    events.append("order", "8", [NewEvent(type="Paid")], expected_version=3)
    following = tail.follow(2 * SECOND, unreachable=pytest.fail)
    before = clock.monotonic()

    assert next(following)[1].position == 4
    assert clock.monotonic() - before == 2


def test_following_goes_on_after_a_look_without_an_answer(memory, events, clock):
    faulty, told = Faulty(memory), []
    tail = Tail(events=make_events(faulty, clock), streams=[Stream("order", "8")])
    tail.last(0)
    fill(events, "8", 4, 5)
    lost = UnreachableError("No answer.")
    faulty.faults["list"] += [fails(lost)]

    following = tail.follow(SECOND, unreachable=told.append)

    assert names([next(following), next(following)]) == ["order/8 4", "order/8 5"]
    assert told == [lost]
