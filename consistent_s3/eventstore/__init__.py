"""Streams of events on S3, without Django and without any server beside the bucket.

    from consistent_s3.eventstore import NONE_YET, EventStore, NewEvent

    events = EventStore(store, "events")
    events.append("order", "7", [NewEvent(type="Placed", data={"total": 12})], expected_version=NONE_YET)
    [event.type for event in events.read("order", "7")]

`EventStore` says what is guaranteed; `keys` how streams are kept.
"""

from consistent_s3.eventstore.compacting import Compaction
from consistent_s3.eventstore.errors import (
    DamagedStreamError,
    InvalidEventError,
    StreamGapError,
    StreamTombstonedError,
)
from consistent_s3.eventstore.events import (
    ANY,
    EXISTS,
    NONE_YET,
    Appended,
    Event,
    Expected,
    ExpectedVersion,
    NewEvent,
    Snapshot,
)
from consistent_s3.eventstore.folding import Folded
from consistent_s3.eventstore.serializing import PlainJSON, Serializer
from consistent_s3.eventstore.store import EventStore

__all__ = [
    "ANY",
    "EXISTS",
    "NONE_YET",
    "Appended",
    "Compaction",
    "DamagedStreamError",
    "Event",
    "EventStore",
    "Expected",
    "ExpectedVersion",
    "Folded",
    "InvalidEventError",
    "NewEvent",
    "PlainJSON",
    "Serializer",
    "Snapshot",
    "StreamGapError",
    "StreamTombstonedError",
]
