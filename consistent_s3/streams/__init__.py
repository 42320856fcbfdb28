"""Streams of events on a storage of the project.

    from consistent_s3.streams import NONE_YET, NewEvent, event_store

    events = event_store("default")
    events.append("order", "7", [NewEvent(type="Placed", data={"total": Decimal("12.50")})], expected_version=NONE_YET)
    for event in events.read("order", "7"): ...

What is guaranteed, and what it costs, says `consistent_s3.eventstore`, whose names are here too.
"""

from consistent_s3.eventstore import (
    ANY,
    EXISTS,
    NONE_YET,
    Appended,
    DamagedStreamError,
    Event,
    EventStore,
    InvalidEventError,
    NewEvent,
    Snapshot,
    StreamGapError,
    StreamTombstonedError,
)
from consistent_s3.streams.kinds import StreamKind, stream_kind, stream_state
from consistent_s3.streams.serializing import DjangoValues
from consistent_s3.streams.stores import event_store, storage_event_store

__all__ = [
    "ANY",
    "EXISTS",
    "NONE_YET",
    "Appended",
    "DamagedStreamError",
    "DjangoValues",
    "Event",
    "EventStore",
    "InvalidEventError",
    "NewEvent",
    "Snapshot",
    "StreamGapError",
    "StreamKind",
    "StreamTombstonedError",
    "event_store",
    "storage_event_store",
    "stream_kind",
    "stream_state",
]
