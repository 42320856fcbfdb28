"""What `verify` finds: each kind of damage, and nothing where there is none."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from consistent_s3.core.errors import UnreachableError
from consistent_s3.core.seams import Attributes, PutMode
from consistent_s3.eventstore import Event, EventStore, NewEvent
from consistent_s3.eventstore.bodies import KeptSnapshot, as_json, pack, pad
from consistent_s3.eventstore.keys import StreamLayout
from consistent_s3.eventstore.names import Stream
from consistent_s3.eventstore.verifying import Folding, Verified, verify
from consistent_s3.testing import ManualClock, MemoryObjectStore
from tests.core.faults import Faulty, fails, meanwhile

STREAM = Stream("order", "7")
LAYOUT = StreamLayout("events")


def add(state: int, event: Event) -> int:
    return state + int(event.data)


FOLDING = Folding(fold=add, initial=0, schema_version=1)


@pytest.fixture
def events(memory: MemoryObjectStore, clock: ManualClock) -> EventStore:
    """Return an event store in which a stream of six events was compacted, folded, and appended to."""
    events = EventStore(memory, "events", clock=clock, prefetch=1)
    for version in range(6):
        events.append("order", "7", [NewEvent(type="Paid", data=version)], expected_version=version)
    events.state("order", "7", add, 0, schema_version=1, snapshot_every=1)
    events.compact("order", "7")
    events.append("order", "7", [NewEvent(type="Paid", data=6)], expected_version=6)
    return events


def found(events: EventStore, folding: Folding | None = FOLDING) -> Verified:
    return verify(events, "order", "7", folding=folding)


def put(memory: MemoryObjectStore, key: str, data: bytes) -> None:
    memory.put(key, io.BytesIO(data), mode=PutMode.OVERWRITE, attributes=Attributes())


def kept(event: Event, **changed: Any) -> str:
    values = {"id": str(event.id), "type": event.type, "data": event.data, "time": event.time.isoformat()}
    return as_json(values | changed)


def covering(memory: MemoryObjectStore, first: int, events: list[str], *snapshots: KeptSnapshot) -> str:
    key = LAYOUT.chunk_key(STREAM, first, version=9, count=len(events))
    put(memory, key, pack(STREAM, first, events, snapshots=snapshots))
    return key


def test_sound_stream_has_no_problem(events):
    result = found(events)

    assert (result.problems, result.version, result.chunks, result.snapshots) == ([], 7, 9, 1)


def test_stream_that_is_none_has_nothing_wrong(events):
    assert verify(events, "order", "8").problems == []
    assert verify(events, "order", "8").chunks == 0


def test_ended_stream_whose_events_were_collected_is_sound(events, memory):
    events.tombstone("order", "7")
    memory.delete([chunk.key for chunk in events.chunks("order", "7") if not chunk.tombstone])

    result = found(events)

    assert (result.problems, result.ended, result.version) == ([], True, 7)


def gap(events: EventStore, memory: MemoryObjectStore) -> str:
    memory.delete([chunk.key for chunk in events.chunks("order", "7") if chunk.first <= 3 <= chunk.last])
    return "Event 3 is gone: no chunk has it. Restore the object from a backup."


def other_event(events: EventStore, memory: MemoryObjectStore) -> str:
    first, second, *_ = events.read("order", "7")
    key = covering(memory, 1, [kept(first), kept(second, data=1000)])
    return f"{key!r} shows another event 2 than another chunk does."


def doubled_id(events: EventStore, memory: MemoryObjectStore) -> str:
    first = next(iter(events.read("order", "7")))
    key = LAYOUT.chunk_key(STREAM, 8)
    put(memory, key, pad(pack(STREAM, 8, [kept(first)]), 1))
    return f"Events 1 and 8 both have the id {first.id}."


def wrong_size(events: EventStore, memory: MemoryObjectStore) -> str:
    first = next(iter(events.read("order", "7")))
    key = LAYOUT.chunk_key(STREAM, 8)
    put(memory, key, pad(pack(STREAM, 8, [kept(first)]), 3))
    return f"{key!r} is listed with 1027 bytes, which means 3 events; 1027 bytes with 1 events were read."


def no_chunk(events: EventStore, memory: MemoryObjectStore) -> str:
    key = LAYOUT.chunk_key(STREAM, 8)
    put(memory, key, b"x" * 1025)
    return f"{key!r} is no chunk of a stream: "


def unreadable_event(events: EventStore, memory: MemoryObjectStore) -> str:
    key = LAYOUT.chunk_key(STREAM, 8)
    put(memory, key, pad(pack(STREAM, 8, [as_json({"id": "no", "type": "a", "data": 1, "time": "never"})]), 1))
    return f"{key!r}: Event 8 cannot be read: "


def wrong_snapshot(events: EventStore, memory: MemoryObjectStore) -> str:
    first, second, *_ = events.read("order", "7")
    key = covering(memory, 1, [kept(first), kept(second)], KeptSnapshot(schema_version=1, position=2, state=1000))
    return (
        f"{key!r} has a snapshot after event 2 that is not what folding gives. Change the schema version if the fold "
        "was changed: then it is not used any more."
    )


def snapshot_of_other_events(events: EventStore, memory: MemoryObjectStore) -> str:
    first = next(iter(events.read("order", "7")))
    key = covering(memory, 1, [kept(first)], KeptSnapshot(schema_version=1, position=5, state=10))
    return f"{key!r} has a snapshot after event 5, but events 1 to 1."


def after_the_end(events: EventStore, memory: MemoryObjectStore) -> str:
    last = list(events.read("order", "7"))[-1]
    events.tombstone("order", "7")
    key = LAYOUT.chunk_key(STREAM, 9)
    put(memory, key, pad(pack(STREAM, 9, [kept(last, id="00000000-0000-0000-0000-000000000009")]), 1))
    return f"{key!r} has events up to 9, but the stream was ended after 7."


@pytest.mark.parametrize(
    "damage",
    [
        gap,
        other_event,
        doubled_id,
        wrong_size,
        no_chunk,
        unreadable_event,
        wrong_snapshot,
        snapshot_of_other_events,
        after_the_end,
    ],
)
def test_damage_is_told(events, memory, damage: Callable[[EventStore, MemoryObjectStore], str]):
    expected = damage(events, memory)

    problems = found(events).problems

    assert any(problem.startswith(expected) for problem in problems), problems


def test_snapshot_of_another_schema_version_is_not_compared(events, memory):
    first = next(iter(events.read("order", "7")))
    covering(memory, 1, [kept(first)], KeptSnapshot(schema_version="1", position=1, state=1000))

    assert found(events).problems == []


def test_fold_that_fails_is_told_with_its_place(events):
    def fold(state: int, event: Event) -> int:
        if event.position == 4:
            raise ValueError("no such payment")
        return state

    problems = found(events, Folding(fold=fold, initial=0, schema_version=2)).problems

    assert problems == ["The fold failed at event 4: ValueError: no such payment"]


def test_chunk_that_is_collected_meanwhile_is_no_damage(events, memory):
    class Collected(MemoryObjectStore):
        def get(self, key: str, *, start: int = 0, end: int | None = None) -> Any:
            if "-" not in key.rpartition("/")[2] and not key.endswith(newest):
                memory.delete([key])
            return memory.get(key, start=start, end=end)

        def list(self, *args: Any, **options: Any) -> Any:
            return memory.list(*args, **options)

    newest = next(iter(events.chunks("order", "7"))).key
    raced = EventStore(Collected(), "events", prefetch=1)

    assert found(raced).problems == []


def test_store_that_does_not_answer_while_events_are_folded_is_no_damage(events, memory):
    store = Faulty(memory, list=[None, fails(UnreachableError("No answer."))])

    with pytest.raises(UnreachableError):
        found(EventStore(store, "events", prefetch=1))  # type: ignore[arg-type]


def test_store_that_does_not_answer_while_chunks_are_read_is_no_damage(events, memory):
    store = Faulty(memory, get=[None, *[fails(UnreachableError("No answer."))] * 5])

    with pytest.raises(UnreachableError):
        found(EventStore(store, "events", prefetch=1, clock=ManualClock()))  # type: ignore[arg-type]


def test_stream_that_is_ended_while_it_is_verified_is_sound(events, memory):
    store = Faulty(memory, list=[None, meanwhile(lambda: events.tombstone("order", "7"))])

    result = found(EventStore(store, "events", prefetch=1))  # type: ignore[arg-type]

    assert (result.problems, result.ended) == ([], True)


def test_gap_that_comes_while_events_are_folded_is_told(events, memory):
    store = Faulty(memory, list=[None, meanwhile(lambda: gap(events, memory))])
    clock = ManualClock()

    problems = found(EventStore(store, "events", clock=clock, prefetch=1)).problems  # type: ignore[arg-type]

    assert [problem[:28] for problem in problems] == ["Event 3 of stream 'order/7' "]


def test_snapshot_that_does_not_give_the_state_back_is_told(events, memory):
    """It was written before such states were refused."""

    class Texts:
        def encode(self, value: Any) -> Any:
            return str(value) if isinstance(value, Decimal) else value

        def decode(self, value: Any) -> Any:
            return value

    first = next(iter(events.read("order", "7")))
    key = covering(memory, 1, [kept(first)], KeptSnapshot(schema_version=2, position=1, state="0"))
    folding = Folding(fold=lambda _, event: Decimal(event.data), initial=Decimal(0), schema_version=2)

    problems = found(replace(events, serializer=Texts()), folding).problems

    (problem,) = problems
    assert problem == (
        f"{key!r} has a snapshot after event 1 that does not give the state back. The state is of type Decimal, and "
        "would be read back as of type str: what is folded on it would be something else. Keep in a state only what "
        "the serializer reads back as it was, or fold with snapshot_every=None."
    )
