"""The folded state equals the fold of all events, at every moment, and costs one LIST and one GET."""

from __future__ import annotations

from collections import defaultdict
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from consistent_s3.core.errors import (
    AccessDeniedError,
    AnswerLostError,
    DeadlinePassedError,
    PolicyError,
    PreconditionTrippedError,
    UnreachableError,
)
from consistent_s3.core.retention import RetentionPolicy
from consistent_s3.eventstore import Event, EventStore, Folded, InvalidEventError, NewEvent, Snapshot, folding
from consistent_s3.testing import ManualClock, MemoryObjectStore
from tests.core.faults import Faulty, fails, lost_after, meanwhile
from tests.eventstore.building import append, grow, make_events, requests


def total(state: int, event: Event) -> int:
    return state + int(event.data)


def state(events: EventStore, *, version: Any = 1, every: int | None = 10, fold: Any = total, initial: Any = 0) -> Any:
    return events.state("order", "7", fold, initial, schema_version=version, snapshot_every=every)


@pytest.fixture
def rival(memory: MemoryObjectStore, clock: ManualClock) -> EventStore:
    return make_events(memory, clock)


def test_state_of_any_length_costs_one_listing_and_one_get_once_it_is_in_a_snapshot(memory, clock, rival):
    grow(rival, [1] * 150)
    store = Faulty(memory)
    events = make_events(store, clock)

    first = state(events)
    replayed = requests(store)
    again = state(events)

    assert first == Folded(state=sum(range(151)), version=150, folded=150, snapshotted=True)
    assert again == Folded(state=sum(range(151)), version=150, folded=0)
    assert replayed == {"list": 2, "get": 150, "put": 1}
    assert requests(store) == {"list": 1, "get": 1}


def test_long_stream_with_a_snapshot_in_its_newest_chunk_costs_the_same(memory, clock, rival):
    for number in range(1_200):
        append(rival, 1, number)
    rival.append(
        "order", "7", [NewEvent(type="A")], expected_version=1_200, snapshot=Snapshot(schema_version=1, state=-1)
    )
    store = Faulty(memory)

    assert state(make_events(store, clock)) == Folded(state=-1, version=1_201, folded=0)

    assert requests(store) == {"list": 1, "get": 1}


def test_only_what_came_after_the_newest_snapshot_is_folded(memory, clock, rival):
    grow(rival, [1] * 20)
    state(rival)
    for position in range(21, 26):
        rival.append("order", "7", [NewEvent(type="A", data=position)], expected_version=position - 1)
    store = Faulty(memory)

    folded = state(make_events(store, clock))

    assert folded == Folded(state=sum(range(26)), version=25, folded=5)
    assert requests(store) == {"list": 2, "get": 6}


def test_snapshot_is_written_when_enough_was_folded(memory, clock, rival):
    grow(rival, [1] * 9)

    few = state(rival)
    rival.append("order", "7", [NewEvent(type="A", data=10)], expected_version=9)
    enough = state(rival)

    assert (few.snapshotted, enough.snapshotted) == (False, True)
    assert [chunk.version for chunk in rival.chunks("order", "7")] == [1, *[0] * 10]


def test_without_snapshots_nothing_is_written(memory, clock, rival):
    grow(rival, [1] * 20)
    before = list(memory.keys)

    assert state(rival, every=None).state == sum(range(21))

    assert memory.keys == before


@pytest.mark.parametrize("other", [2, "1", "total/1"])
def test_snapshot_of_another_schema_is_not_used_and_both_stay(memory, clock, rival, other):
    """Two versions of a program that run at once do not replay in turns."""
    grow(rival, [1] * 20)
    state(rival)

    def largest(found: dict[str, int], event: Event) -> dict[str, int]:
        return {"largest": max(found["largest"], int(event.data))}

    replayed = state(rival, version=other, fold=largest, initial={"largest": 0})
    store = Faulty(memory)
    events = make_events(store, clock)
    again = state(events, version=other, fold=largest, initial={"largest": 0})
    first = state(events)

    assert (replayed.state, replayed.folded, replayed.snapshotted) == ({"largest": 20}, 20, True)
    assert (again.state, again.folded, first.state, first.folded) == ({"largest": 20}, 0, sum(range(21)), 0)
    assert requests(store) == {"list": 2, "get": 2}


def test_chunk_keeps_the_newest_four_schemas(memory, clock, rival):
    grow(rival, [1] * 10)

    for version in range(1, 7):
        state(rival, version=version)

    assert [state(rival, version=version, every=None).folded for version in range(1, 7)] == [10, 10, 0, 0, 0, 0]


def test_stream_without_events_has_the_state_to_begin_with(rival):
    assert state(rival, initial={"a": 1}) == Folded(state={"a": 1}, version=0, folded=0)


def test_fold_that_changes_its_state_does_not_change_what_it_begins_with(rival):
    grow(rival, [1] * 3)
    initial: list[int] = []

    def collect(seen: list[int], event: Event) -> list[int]:
        seen.append(event.position)
        return seen

    assert state(rival, fold=collect, initial=initial).state == [1, 2, 3]
    assert state(rival, fold=collect, initial=initial).state == [1, 2, 3]
    assert initial == []


def test_snapshot_with_an_append_is_the_state_after_it(memory, clock, rival):
    append(rival, 1, 0)

    rival.append(
        "order", "7", [NewEvent(type="A", data=5)] * 1, expected_version=1, snapshot=Snapshot(schema_version=1, state=5)
    )

    assert state(rival) == Folded(state=5, version=2, folded=0)


@pytest.mark.parametrize(
    "fault",
    [
        fails(PreconditionTrippedError("Another was first.")),
        fails(AnswerLostError("No answer.")),
        fails(UnreachableError("No answer.")),
        fails(DeadlinePassedError("Too late.")),
        lost_after,
    ],
)
def test_losing_the_race_for_a_snapshot_is_harmless(memory, clock, rival, fault):
    grow(rival, [1] * 20)

    folded = state(make_events(Faulty(memory, put=[fault]), clock))

    assert (folded.state, folded.snapshotted) == (sum(range(21)), False)
    assert state(rival).state == sum(range(21))


def test_snapshot_that_may_not_be_written_is_an_error(memory, clock, rival):
    grow(rival, [1] * 20)

    with pytest.raises(AccessDeniedError):
        state(make_events(Faulty(memory, put=[fails(AccessDeniedError("No."))]), clock))


def test_append_while_a_snapshot_is_written_is_not_disturbed(memory, clock, rival):
    grow(rival, [1] * 20)

    def go_on() -> None:
        rival.append("order", "7", [NewEvent(type="A", data=21)], expected_version=20)

    folded = state(make_events(Faulty(memory, put=[meanwhile(go_on)]), clock))

    assert (folded.state, folded.version) == (sum(range(21)), 20)
    assert state(rival) == Folded(state=sum(range(22)), version=21, folded=1)


def test_chunks_that_are_collected_while_they_are_folded_leave_no_gap(memory, clock, rival):
    grow(rival, [1] * 20)

    def shrink() -> None:
        rival.compact("order", "7", most=8)
        clock.advance(timedelta(days=2))
        rival.collector(policy=RetentionPolicy()).run(dry_run=False)

    store = Faulty(memory, get=[None, None, None, meanwhile(shrink)])

    assert state(make_events(store, clock)).state == sum(range(21))


def test_snapshot_survives_compaction(memory, clock, rival):
    grow(rival, [1] * 20)
    state(rival)
    for position in range(21, 24):
        rival.append("order", "7", [NewEvent(type="A", data=position)], expected_version=position - 1)

    rival.compact("order", "7")
    clock.advance(timedelta(days=2))
    rival.collector(policy=RetentionPolicy()).run(dry_run=False)
    store = Faulty(memory)

    assert state(make_events(store, clock)) == Folded(state=sum(range(24)), version=23, folded=3)
    assert requests(store) == {"list": 2, "get": 2}


def test_snapshot_far_back_is_not_looked_for_without_end(memory, clock, rival, monkeypatch):
    """What was looked through is not fetched twice, and the rest is replayed without holding it."""
    monkeypatch.setattr(folding, "LOOK_BACK", 5)
    grow(rival, [1] * 12)
    state(rival, every=1)
    for position in range(13, 31):
        rival.append("order", "7", [NewEvent(type="A", data=position)], expected_version=position - 1)
    store = Faulty(memory)

    folded = state(make_events(store, clock), every=None)

    assert folded == Folded(state=sum(range(31)), version=30, folded=30)
    assert requests(store) == {"list": 3, "get": 30}


def test_state_that_cannot_be_kept_is_told(rival):
    grow(rival, [1] * 20)

    with pytest.raises(InvalidEventError) as caught:
        state(rival, fold=lambda found, event: {event.position}, initial=set())

    assert str(caught.value) == (
        "The state of the snapshot is of type set, which JSON cannot hold. Use dicts, lists, strings, numbers, "
        "booleans and None, or give the event store a serializer for it."
    )


def test_state_too_large_for_a_snapshot_is_folded_without(memory, rival):
    grow(rival, [1] * 20)
    before = list(memory.keys)

    folded = state(rival, fold=lambda found, event: "x" * 5_000_000, initial="")

    assert (len(folded.state), folded.snapshotted) == (5_000_000, False)
    assert memory.keys == before


def test_snapshot_that_the_serializer_does_not_know_is_as_if_it_was_not_there(memory, clock, rival):
    class Picky:
        def encode(self, value: Any) -> Any:
            return value

        def decode(self, value: Any) -> Any:
            if value == sum(range(21)):
                raise KeyError("what is this?")
            return value

    grow(rival, [1] * 20)
    state(rival)

    assert state(make_events(memory, clock, serializer=Picky()), every=None).folded == 20


@pytest.mark.parametrize("every", [0, -1])
def test_snapshot_every_so_few_events_is_refused(rival, every):
    with pytest.raises(PolicyError, match=f"snapshot_every is {every}. Give at least 1, or None for no snapshots."):
        state(rival, every=every)


@pytest.mark.parametrize("version", [None, 1.5, True, "x" * 201, 10**200, pytest.param(-(10**5_000), id="huge")])
def test_schema_version_that_is_none_is_refused(rival, version):
    with pytest.raises(InvalidEventError, match="Give a whole number or a short string"):
        state(rival, version=version)


def careless(found: dict[str, Any], event: Event) -> dict[str, Any]:
    """Keep what an event holds, and change it later; or take it out."""
    if event.position == 1:
        found["line"] = event.data
    else:
        found["line"]["quantity"] = event.data.pop("quantity")
    return found


def test_fold_that_changes_the_data_of_events_does_not_change_the_events(memory, clock, rival):
    rival.append(
        "order",
        "7",
        [NewEvent(type="Line", data={"quantity": 1}), NewEvent(type="Changed", data={"quantity": 4})],
        expected_version=0,
    )

    first = state(rival, every=1, fold=careless, initial={})
    clock.advance(timedelta(days=2))
    rival.collector(policy=RetentionPolicy()).run(dry_run=False)

    assert (first.state, first.snapshotted, len(memory.keys)) == ({"line": {"quantity": 4}}, True, 1)
    assert [event.data for event in rival.read("order", "7")] == [{"quantity": 1}, {"quantity": 4}]
    assert state(rival, version=2, fold=careless, initial={}).state == first.state


class Texts:
    """Keeps what JSON does not have as text, and reads back texts."""

    def encode(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self.encode(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.encode(item) for item in value]
        return value if isinstance(value, int | str) else str(value)

    def decode(self, value: Any) -> Any:
        return value


@pytest.mark.parametrize(
    ("initial", "problem"),
    [
        ({"total": Decimal(1)}, "['total'] is of type Decimal, and would be read back as of type str"),
        ({"lines": [1, (2,)]}, "['lines'][1] is of type tuple, and would be read back as of type list"),
        (defaultdict(int), " is of type defaultdict, and would be read back as of type dict"),
    ],
)
def test_state_that_a_snapshot_would_change_is_refused_at_the_first_event(memory, clock, initial, problem):
    events = make_events(memory, clock, serializer=Texts())
    grow(events, [1])

    with pytest.raises(InvalidEventError) as caught:
        state(events, every=100, fold=lambda found, _: found, initial=initial)

    assert str(caught.value) == (
        f"The state of the snapshot{problem}: what is folded on it would be something else. Keep in a state only what "
        "the serializer reads back as it was, or fold with snapshot_every=None."
    )
    assert state(events, every=None, fold=lambda found, _: found, initial=initial).state == initial


class Plus:
    """A serializer that reads back one more."""

    def encode(self, value: Any) -> Any:
        return value

    def decode(self, value: Any) -> Any:
        return {"count": value["count"] + 1} if isinstance(value, dict) and value else value


def test_state_that_a_snapshot_would_change_by_its_value_is_refused(memory, clock):
    events = make_events(memory, clock, serializer=Plus())
    grow(events, [1])

    with pytest.raises(InvalidEventError, match=r"\['count'\] is 1, and would be read back as 2"):
        state(events, fold=lambda found, _: found, initial={"count": 1})


@dataclass
class Basket:
    count: int


class Plain:
    """An object of which nobody can say whether it equals another."""

    def __init__(self, count: int) -> None:
        self.count = count


class Objects:
    """Reads back objects of a class."""

    def __init__(self, kind: type) -> None:
        self.kind = kind

    def encode(self, value: Any) -> Any:
        return {"count": value.count} if isinstance(value, self.kind) else value

    def decode(self, value: Any) -> Any:
        return self.kind(value["count"]) if isinstance(value, dict) and value else value


@pytest.mark.parametrize("kind", [Basket, Plain])
def test_state_of_a_class_that_the_serializer_reads_back_is_kept(memory, clock, kind):
    events = make_events(memory, clock, serializer=Objects(kind))
    grow(events, [1] * 3)

    def add(found: Any, event: Event) -> Any:
        return kind(found.count + event.data)

    first = state(events, every=1, fold=add, initial=kind(0))
    again = state(events, every=1, fold=add, initial=kind(0))

    assert (first.snapshotted, again.folded, again.state.count) == (True, 0, 6)


def test_state_that_is_read_back_as_a_copy_is_kept(memory, clock):
    class Copies(Texts):
        def decode(self, value: Any) -> Any:
            return deepcopy(value)

    events = make_events(memory, clock, serializer=Copies())
    grow(events, [1])
    lines = {"lines": [{"quantity": 1, "name": "a lamp"}], "ids": []}

    assert state(events, every=1, fold=lambda found, _: found, initial=lines).snapshotted is True


def test_chunk_that_was_written_again_as_often_as_may_be_is_folded_without_a_snapshot(memory, rival, monkeypatch):
    monkeypatch.setattr(folding, "MAX_CHUNK_VERSION", 1)
    grow(rival, [1] * 20)

    assert [state(rival, version=version).snapshotted for version in (1, 2)] == [True, False]


def test_snapshot_with_an_append_that_would_be_another_is_refused(memory, clock):
    events = make_events(memory, clock, serializer=Texts())

    with pytest.raises(InvalidEventError, match="would be read back as of type str"):
        append(events, 1, 0, snapshot=Snapshot(schema_version=1, state=Decimal(1)))

    assert memory.keys == []
