"""What the simulation of streams found: processes that stand still at the worst moment, one test for each."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest

from consistent_s3.core.errors import ConflictError, OutcomeUnknownError, UnreachableError
from consistent_s3.core.retention import RetentionPolicy
from consistent_s3.eventstore import ANY, Event, EventStore
from consistent_s3.testing import ManualClock, MemoryObjectStore
from tests.core.faults import Faulty, afterwards, fails, lands_late, stalls
from tests.eventstore.building import append, grow, make_events, new_events

LONG = timedelta(days=2)
"""Longer than grace."""
IMPATIENT = timedelta(seconds=31)
"""Longer than a writer tries against others."""


@pytest.fixture
def others(memory: MemoryObjectStore, clock: ManualClock) -> EventStore:
    return make_events(memory, clock, chance=random.Random(2))  # other write ids


def collect(events: EventStore, clock: ManualClock) -> None:
    clock.advance(LONG)
    events.collector(policy=RetentionPolicy(keep_for=timedelta(0))).run(dry_run=False)


def count(state: int, event: Event) -> int:
    return state + 1


def test_append_into_a_stream_that_was_ended_and_collected_before_its_answer_came_is_unknown(memory, clock, others):
    """It was applied; `StreamTombstonedError` would say that it was not."""

    def end() -> None:
        others.tombstone("order", "7")
        collect(others, clock)

    events = make_events(Faulty(memory, put=[afterwards(end)]), clock)

    with pytest.raises(OutcomeUnknownError, match="Nobody can say whether event 1 of stream 'order/7' was appended"):
        append(events, 1, 0)


def test_snapshot_of_a_stalled_process_does_not_bring_a_collected_key_back(memory, clock, others):
    """A reader that listed the key before it was collected would meet other bytes there."""
    grow(others, [1, 2])
    used: list[str] = []

    def slow(state: int, event: Event) -> int:
        if event.position == 3:
            others.state("order", "7", count, 0, schema_version=1, snapshot_every=1)
            others.state("order", "7", count, 0, schema_version=2, snapshot_every=1)
            used.extend(memory.keys)
            collect(others, clock)
        return state + 1

    folded = others.state("order", "7", slow, 0, schema_version=3, snapshot_every=1)

    assert (folded.state, folded.snapshotted) == (3, False)
    assert len(set(used) - set(memory.keys)) == 2


def test_compaction_that_stalls_does_not_bring_a_collected_key_back(memory, clock, others):
    appended = grow(others, [1] * 5)
    events = make_events(Faulty(memory, get=[None, None, None, stalls(clock, LONG)]), clock)

    done = events.compact("order", "7")

    assert done.written == ()
    assert list(others.read("order", "7")) == appended


def test_who_was_beaten_is_told_the_version_that_is(memory, clock, others):
    """What it knew was seen before others appended."""
    events = make_events(Faulty(memory, head=[afterwards(lambda: clock.advance(IMPATIENT))]), clock)
    events.version("order", "7")
    grow(others, [2, 3])

    with pytest.raises(ConflictError) as caught:
        append(events, 1, ANY)

    assert caught.value.actual == 5


def test_append_that_is_sent_again_and_meets_its_first_attempt_is_repeated_however_long_it_takes(memory, clock):
    """The first attempt has another write id, so only the event ids tell."""
    slow: Any = afterwards(lambda: clock.advance(IMPATIENT))
    store = Faulty(memory, put=[lands_late], head=[fails(UnreachableError("No answer.")), slow])
    events, mine = make_events(store, clock), new_events(2)
    with pytest.raises(OutcomeUnknownError):
        events.append("order", "7", mine, expected_version=0)
    store.land()

    again = events.append("order", "7", mine, expected_version=0)

    assert again.repeated
    assert again.version == 2
