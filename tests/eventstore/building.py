"""Event stores on a bucket that was asked already what it honours, and small streams."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from consistent_s3.core.protocol import Timing
from consistent_s3.core.selftest import honouring
from consistent_s3.eventstore import Appended, Event, EventStore, NewEvent
from consistent_s3.eventstore.measuring import truthful
from consistent_s3.testing import ManualClock
from tests.core.faults import Faulty

WARM = "a place of which everything is known"
honouring.add(WARM)
truthful.add(WARM)


def make_events(store: Any, clock: ManualClock, **options: Any) -> EventStore:
    options = {"chance": random.Random(1), "prefetch": 1, "place": WARM, "timing": Timing(), **options}
    return EventStore(store, "events", clock=clock, **options)


def new_events(count: int, *, begin: int = 0) -> list[NewEvent]:
    return [NewEvent(type="Added", data=begin + number) for number in range(count)]


def append(events: EventStore, count: int, expected: Any, **options: Any) -> Appended:
    return events.append("order", "7", new_events(count), expected_version=expected, **options)


def grow(events: EventStore, sizes: list[int]) -> list[Event]:
    """Append so many events at a time, each with its position as data."""
    appended: list[Event] = []
    for size in sizes:
        more = new_events(size, begin=len(appended) + 1)
        appended += events.append("order", "7", more, expected_version=len(appended)).events
    return appended


def positions(events: EventStore, **options: Any) -> list[int]:
    return [event.position for event in events.read("order", "7", **options)]


def requests(faulty: Faulty) -> dict[str, int]:
    """Return how many requests of each kind were sent since the last time."""
    counts = Counter(kind for kind, _ in faulty.sent)
    faulty.sent.clear()
    return dict(counts)
