"""What covering chunks and tombstones made needless goes, after grace, and nothing else does."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consistent_s3.core.collector import Limits
from consistent_s3.core.errors import UnreachableError
from consistent_s3.core.fates import Fate, Summary
from consistent_s3.core.retention import Circumstances, Reason, RetentionPolicy
from consistent_s3.core.seams import Attributes, DeleteFailure, PutMode
from consistent_s3.core.span import Span
from consistent_s3.eventstore import EventStore, collecting
from consistent_s3.eventstore.bodies import as_json, pack, unpack
from consistent_s3.eventstore.collecting import stream_named
from consistent_s3.eventstore.keys import Chunk, StreamLayout
from consistent_s3.eventstore.names import Stream
from consistent_s3.eventstore.retiring import retire
from consistent_s3.testing import ManualClock, MemoryObjectStore
from tests.core.faults import Faulty, afterwards, fails
from tests.eventstore.building import append, grow, make_events, new_events, positions, requests

KEEP = RetentionPolicy()
DAY = timedelta(days=1)
NAMES = ("order", "7")
ORDER = Stream(*NAMES)
NOW = datetime(2026, 1, 10, tzinfo=UTC)


@pytest.fixture
def events(memory: MemoryObjectStore, clock: ManualClock) -> EventStore:
    return make_events(memory, clock)


def collect(events: EventStore, *, policy: RetentionPolicy = KEEP, dry_run: bool = False, **options: Any) -> Summary:
    return events.collector(policy=policy, **options).run(dry_run=dry_run)


def reasons(events: EventStore, **options: Any) -> dict[int, list[str]]:
    """Return for each first position what is said of its chunks."""
    told: list[Fate] = []
    events.collector(policy=options.pop("policy", KEEP), **options).run(dry_run=True, tell=told.append)
    found: dict[int, list[str]] = {}
    for fate in told:
        found.setdefault(fate.number, []).append(f"{'-' if fate.goes else '+'}{fate.reason.name}")
    return found


def shape(events: EventStore) -> list[tuple[int, int, int]]:
    return [(chunk.first, chunk.count, chunk.version) for chunk in events.chunks("order", "7")]


# Deciding


def chunk(first: int, count: int, version: int = 0, *, age: float = 10) -> Chunk:
    return Chunk(key=f"{first}.{version}-{count}", first=first, count=count, version=version, modified=NOW - age * DAY)


def decided(*chunks: Chunk, policy: RetentionPolicy = KEEP, **circumstances: Any) -> list[str]:
    found = retire(chunks, Circumstances(policy=policy, **circumstances), NOW, grace=DAY)
    return [f"{'-' if one.goes else '+'}{one.reason.name}" for one in found]


def test_what_is_covered_goes_and_what_covers_stays():
    assert decided(chunk(3, 1), chunk(2, 1), chunk(1, 2, 1), chunk(1, 1)) == [
        "+CURRENT",
        "-SUPERSEDED",
        "+CURRENT",
        "-SUPERSEDED",
    ]


def test_grace_counts_from_the_covering_chunk_and_never_from_the_covered_one():
    assert decided(chunk(1, 2, 1, age=0.9), chunk(1, 1, age=300)) == ["+CURRENT", "+GRACE"]
    assert decided(chunk(1, 2, 1, age=1), chunk(1, 1, age=0)) == ["+CURRENT", "-SUPERSEDED"]


def test_any_old_covering_chunk_will_do_although_a_newer_one_covers_too():
    assert decided(chunk(1, 9, 2, age=0), chunk(1, 5, 1), chunk(2, 1)) == ["+CURRENT", "+GRACE", "-SUPERSEDED"]


def test_same_events_again_supersede_the_lower_chunk_version():
    assert decided(chunk(4, 3, 2), chunk(4, 3, 1), chunk(4, 3)) == ["+CURRENT", "-SUPERSEDED", "-SUPERSEDED"]


def test_chunks_that_overlap_only_in_part_both_stay():
    assert decided(chunk(5, 16, 1), chunk(1, 10, 1)) == ["+CURRENT", "+CURRENT"]


def test_what_several_cover_only_together_stays():
    assert decided(chunk(1, 5, 1), chunk(6, 5, 1), chunk(4, 4)) == ["+CURRENT", "+CURRENT", "+CURRENT"]


@pytest.mark.parametrize(
    ("policy", "age", "said"),
    [
        (RetentionPolicy(), 400, "+NO_POLICY"),
        (RetentionPolicy(keep_last=1), 2, "-DELETED"),
        (RetentionPolicy(keep_last=1), 0.5, "+GRACE"),
        (RetentionPolicy(keep_for=3 * DAY), 2, "+KEEP_FOR"),
        (RetentionPolicy(keep_for=3 * DAY), 3, "-DELETED"),
        (RetentionPolicy(keep_for=DAY / 2), 0.7, "+GRACE"),
    ],
)
def test_chunks_of_an_ended_stream_go_when_the_policy_says_and_the_tombstone_stays(policy, age, said):
    assert decided(chunk(3, 0, age=age), chunk(1, 2, age=900), policy=policy) == ["+HOLDS_NUMBER", said]


def test_of_an_ended_stream_that_is_kept_what_is_covered_goes_all_the_same():
    assert decided(chunk(3, 0), chunk(1, 2, 1), chunk(1, 1)) == ["+HOLDS_NUMBER", "+NO_POLICY", "-SUPERSEDED"]


def test_hold_keeps_everything():
    last = RetentionPolicy(keep_last=1)

    assert decided(chunk(3, 0), chunk(1, 2, 1), chunk(1, 1), policy=last, held_whole=True) == [
        "+HOLDS_NUMBER",
        "+HELD",
        "+HELD",
    ]
    assert decided(chunk(1, 2, 1), chunk(2, 1), chunk(1, 1), held=frozenset({2})) == [
        "+CURRENT",
        "+HELD",
        "-SUPERSEDED",
    ]


@settings(deadline=None)
@given(
    st.lists(
        st.builds(chunk, st.integers(1, 12), st.integers(1, 8), st.integers(0, 3), age=st.sampled_from([0, 0.5, 1, 9])),
        max_size=15,
        unique_by=lambda one: one.key,
    )
)
def test_whatever_goes_every_event_stays_in_something_as_large_and_old_enough(chunks):
    found = retire(chunks, Circumstances(policy=KEEP), NOW, grace=DAY)

    staying = [one.chunk for one in found if not one.goes]
    assert [one.chunk for one in found] == chunks
    for one in found:
        larger = [
            other
            for other in chunks
            if (other.count, other.version) > (one.chunk.count, one.chunk.version)
            and other.first <= one.chunk.first
            and one.chunk.last <= other.last
        ]
        old = [other for other in larger if NOW - other.modified >= DAY]
        assert one.goes == bool(old)
        assert one.reason is (Reason.SUPERSEDED if old else Reason.GRACE if larger else Reason.CURRENT)
        if one.goes:
            assert one.covering in old
            assert any(other.first <= one.chunk.first and one.chunk.last <= other.last for other in staying)


# Carrying out


def test_covered_chunks_are_collected_after_grace(memory, clock, events):
    appended = grow(events, [1, 2, 3, 1])
    events.compact("order", "7")

    early = collect(events)
    clock.advance(DAY)
    late = collect(events)

    assert (early.deleted, late.deleted, late.kept) == (0, 3, 2)
    assert shape(events) == [(7, 1, 0), (1, 6, 1)]
    assert list(events.read("order", "7")) == appended
    assert collect(events).deleted == 0


def test_dry_run_says_the_same_and_deletes_nothing(memory, clock, events):
    grow(events, [1, 2, 3, 1])
    events.compact("order", "7")
    clock.advance(DAY)
    before = list(memory.keys)

    dry = collect(events, dry_run=True)

    assert memory.keys == before
    assert {**dry.as_dict(), "dry_run": False} == collect(events).as_dict()
    assert dry.as_dict() == {
        "dry_run": True,
        "names": 1,
        "scanned": 5,
        "kept": 2,
        "deleted": 3,
        "bytes_freed": dry.bytes_freed,
        "archived": 0,
        "uploads_aborted": 0,
        "reasons": {"current": 2, "superseded, and no rule keeps it": 3},
        "error_count": 0,
        "errors": [],
    }


def test_it_costs_a_listing_twice_a_look_at_what_goes_and_what_covers_and_one_delete(memory, clock, events):
    for number in range(3):
        for version in range(41):
            events.append("order", str(number), new_events(1), expected_version=version)
        events.compact("order", str(number), most=40)
    clock.advance(DAY)
    store = Faulty(memory)

    assert collect(make_events(store, clock)).deleted == 120

    assert requests(store) == {"list": 1 + 3, "get": 3 + 120, "delete": 1}


def test_of_an_ended_stream_whose_time_is_over_nothing_is_looked_at(memory, clock, events):
    grow(events, [1] * 5)
    events.compact("order", "7")
    events.tombstone("order", "7")
    clock.advance(31 * DAY)
    store = Faulty(memory)

    assert collect(make_events(store, clock), policy=RetentionPolicy(keep_for=30 * DAY)).deleted == 6

    assert requests(store) == {"list": 2, "delete": 1}


def test_deciding_costs_one_listing_for_a_thousand_chunks(memory, clock, events):
    for number in range(120):
        for version in range(10):
            events.append("order", str(number), new_events(1), expected_version=version)
    store = Faulty(memory)

    assert collect(make_events(store, clock), dry_run=True).scanned == 1_200

    assert requests(store) == {"list": 2}


def test_ended_stream_goes_and_can_never_be_written_again(memory, clock, events):
    grow(events, [1, 2])
    events.append("order", "8", new_events(1), expected_version=0)
    events.tombstone("order", "7")
    clock.advance(31 * DAY)

    summary = collect(events, policy=RetentionPolicy(keep_for=30 * DAY))

    assert (summary.deleted, summary.kept) == (2, 2)
    assert shape(events) == [(4, 0, 0)]
    assert not events.exists("order", "7")
    assert positions(make_events(memory, clock, prefetch=1), limit=0) == []
    assert len(list(events.read("order", "8"))) == 1


def test_reasons_are_told_for_every_chunk(memory, clock, events):
    grow(events, [1, 1, 1])
    events.compact("order", "7")

    assert reasons(events) == {3: ["+CURRENT"], 2: ["+GRACE"], 1: ["+CURRENT", "+GRACE"]}
    clock.advance(DAY)
    assert reasons(events) == {3: ["+CURRENT"], 2: ["-SUPERSEDED"], 1: ["+CURRENT", "-SUPERSEDED"]}
    hold = {"order/7": Circumstances(policy=KEEP, held_whole=True)}
    assert reasons(events, circumstances=lambda names: {name: hold[name] for name in names}) == {
        3: ["+HELD"],
        2: ["+HELD"],
        1: ["+HELD", "+HELD"],
    }


def test_what_covers_is_looked_at_again_right_before(memory, clock, events):
    """It vanished between the listing and the deletion: then it covers nothing."""
    appended = grow(events, [1, 1, 1])
    covering = events.compact("order", "7").written[0]
    clock.advance(DAY)
    store = Faulty(memory, list=[afterwards(lambda: memory.delete([covering]))])

    summary = collect(make_events(store, clock))

    assert (summary.deleted, summary.kept) == (0, 4)
    assert list(events.read("order", "7")) == appended


def test_what_cannot_be_read_covers_nothing_and_stops_nothing_else(memory, clock, events):
    for number in ("7", "8"):
        for version in range(3):
            events.append("order", number, new_events(1), expected_version=version)
    covering = events.compact("order", "7").written[0]
    events.compact("order", "8")
    memory.put(covering, io.BytesIO(b"x"), mode=PutMode.OVERWRITE, attributes=Attributes())
    clock.advance(DAY)

    summary = collect(events)

    assert (summary.deleted, summary.error_count) == (2, 2)
    assert [error["code"] for error in summary.errors] == ["DamagedStreamError"] * 2
    assert summary.errors[0]["message"].startswith(
        f"{covering!r}, which covers it: {covering!r} is no chunk of a stream"
    )
    memory.delete([covering])
    assert positions(events) == [1, 2, 3]


def test_what_covers_with_another_event_keeps_what_it_covers(memory, clock, events):
    grow(events, [1] * 4)
    key = events.compact("order", "7").written[0]
    body = unpack(memory.get(key).read(10_000), ORDER, next(one for one in events.chunks(*NAMES) if one.key == key))
    body.events[1]["data"] = None
    other = pack(ORDER, 1, [as_json(event) for event in body.events])
    memory.put(key, io.BytesIO(other), mode=PutMode.OVERWRITE, attributes=Attributes())
    clock.advance(DAY)

    summary = collect(events)

    assert (summary.deleted, summary.error_count) == (2, 1)
    assert summary.errors == [
        {
            "key": StreamLayout("events").chunk_key(ORDER, 2),
            "code": "DamagedStreamError",
            "message": f"{key!r}, which covers it, shows another event 2. Find out which is right.",
        }
    ]


def test_what_cannot_be_compared_stays_and_stops_nothing_else(memory, clock, events):
    grow(events, [1] * 4)
    key = events.compact("order", "7").written[0]
    damaged = StreamLayout("events").chunk_key(ORDER, 2)
    memory.put(damaged, io.BytesIO(b"x" * 1025), mode=PutMode.OVERWRITE, attributes=Attributes())
    clock.advance(DAY)

    summary = collect(events)

    assert (summary.deleted, [(error["key"], error["code"]) for error in summary.errors]) == (
        2,
        [(damaged, "DamagedStreamError")],
    )
    assert summary.errors[0]["message"].startswith(
        f"It cannot be compared with {key!r}, which covers it: {damaged!r} is no chunk of a stream"
    )


def test_what_another_collector_has_deleted_meanwhile_is_no_error(memory, clock, events):
    grow(events, [1] * 4)
    events.compact("order", "7")
    clock.advance(DAY)
    gone = StreamLayout("events").chunk_key(ORDER, 2)
    store = Faulty(memory, get=[afterwards(lambda: memory.delete([gone]))])

    summary = collect(make_events(store, clock))

    assert (summary.error_count, len(memory.keys), positions(events)) == (0, 2, [1, 2, 3, 4])


def test_errors_of_single_keys_are_kept_and_stop_nothing(memory, clock, events):
    grow(events, [1] * 5)
    events.compact("order", "7")
    clock.advance(DAY)
    denied = StreamLayout("events").chunk_key(Stream("order", "7"), 2)

    class Denying(Faulty):
        def delete(self, keys: Any) -> Any:
            self.store.delete([key for key in keys if key != denied])
            return [DeleteFailure(key=denied, code="AccessDenied", message="No.")]

    summary = collect(make_events(Denying(memory), clock))

    assert (summary.deleted, summary.errors) == (3, [{"key": denied, "code": "AccessDenied", "message": "No."}])
    assert positions(events) == [1, 2, 3, 4, 5]
    assert collect(events).deleted == 1


def test_collection_that_breaks_off_is_gone_on_with(memory, clock, events):
    appended = grow(events, [1] * 5)
    events.compact("order", "7")
    clock.advance(DAY)
    broken = make_events(Faulty(memory, delete=[fails(UnreachableError("No answer."))]), clock)

    with pytest.raises(UnreachableError):
        collect(broken)

    assert collect(events).deleted == 4
    assert list(events.read("order", "7")) == appended


def test_limit_stops_between_streams_and_the_rest_is_gone_on_with(memory, clock, events):
    for number in range(4):
        for version in range(3):
            events.append("order", str(number), new_events(1), expected_version=version)
        events.compact("order", str(number))
    clock.advance(DAY)
    collector = events.collector(policy=KEEP)

    first = collector.run(dry_run=False, limits=Limits(objects=3))
    second = collector.run(dry_run=False, span=first.rest)

    assert (first.deleted, second.deleted, second.rest) == (4, 4, None)
    assert all(len(list(events.read("order", str(number)))) == 3 for number in range(4))


def test_keys_of_other_software_are_left_and_counted(memory, clock, events):
    grow(events, [1, 1, 1])
    events.compact("order", "7")
    clock.advance(DAY)
    for key in ("events/readme.txt", "events/order/readme.txt", "events/order/7/readme.txt", "events/z"):
        memory.put(key, io.BytesIO(b"x"), mode=PutMode.CREATE, attributes=Attributes())

    summary = collect(events)

    assert (summary.deleted, summary.kept, summary.scanned, summary.names) == (2, 2, 8, 1)
    assert [key for key in memory.keys if not key.startswith("events/order/7/99")] == [
        "events/order/7/readme.txt",
        "events/order/readme.txt",
        "events/readme.txt",
        "events/z",
    ]


def test_more_keys_of_other_software_than_are_passed_at_a_time_do_not_cut_a_stream_in_two(
    memory, clock, events, monkeypatch
):
    monkeypatch.setattr(collecting, "FOREIGN", 3)
    grow(events, [1] * 4)
    between = StreamLayout("events").chunk_key(ORDER, 2)
    for number in range(8):
        memory.put(f"{between}-{number}.bak", io.BytesIO(), mode=PutMode.CREATE, attributes=Attributes())
    events.tombstone("order", "7")
    clock.advance(9 * DAY)

    summary = collect(events, policy=RetentionPolicy(keep_for=DAY))

    assert (summary.deleted, summary.names, shape(events)) == (4, 1, [(5, 0, 0)])


def test_keys_of_other_software_outside_of_streams_are_passed_a_few_at_a_time(memory, clock, events, monkeypatch):
    monkeypatch.setattr(collecting, "FOREIGN", 3)
    grow(events, [1])
    for number in range(8):
        memory.put(f"events/z{number}", io.BytesIO(), mode=PutMode.CREATE, attributes=Attributes())

    groups = list(events.collector(policy=KEEP).make_survey().groups(Span()))

    assert [(group.name, group.foreign) for group in groups] == [("order/7", 0), ("", 3), ("", 3), ("", 2)]


def test_collector_never_meets_a_writer_that_stalls_less_than_it_may(memory, clock, events):
    """The key that a stalled writer sends for is there as long as what it sends may land."""
    grow(events, [1])
    stalled: list[Any] = []

    class Late(Faulty):
        def put(self, key: str, body: Any, **options: Any) -> Any:
            data = body.read()
            stalled.append(lambda: self.store.put(key, io.BytesIO(data), **{**options, "deadline": None}))
            raise UnreachableError("No answer.")

    with pytest.raises(UnreachableError):
        append(make_events(Late(memory), clock), 1, 1)
    append(events, 1, 1)
    append(events, 1, 2)
    events.compact("order", "7")
    clock.advance(timedelta(minutes=16))

    collect(events)

    with pytest.raises(Exception, match="did not hold"):
        stalled[0]()
    assert positions(events) == [1, 2, 3]


def test_streams_are_gone_through_in_one_pass(events):
    assert events.collector(policy=KEEP).make_survey().halve(Span()) == ""


def test_name_says_which_stream():
    assert stream_named("order/7") == Stream("order", "7")
