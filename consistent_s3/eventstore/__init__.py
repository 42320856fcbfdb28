"""Streams of events on S3, without Django and without any server beside the bucket.

    from consistent_s3.eventstore import NONE_YET, EventStore, NewEvent

    events = EventStore(store, "events")
    events.append("order", "7", [NewEvent(type="Placed", data={"total": 12})], expected_version=NONE_YET)
    [event.type for event in events.read("order", "7")]

`EventStore` says what is guaranteed; `keys` how streams are kept. Each error that it raises is here, or inherits one
that is; in a Django project `consistent_s3.errors` has the same.
"""

from consistent_s3.core.errors import (
    AccessDeniedError,
    AlreadyExistsError,
    BucketMissingError,
    ConflictError,
    ConsistentS3Error,
    InvalidNameError,
    NotYetVisibleError,
    OutcomeUnknownError,
    PolicyError,
    PreconditionsIgnoredError,
    StoreError,
    UnreachableError,
)
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
    "AccessDeniedError",
    "AlreadyExistsError",
    "Appended",
    "BucketMissingError",
    "Compaction",
    "ConflictError",
    "ConsistentS3Error",
    "DamagedStreamError",
    "Event",
    "EventStore",
    "Expected",
    "ExpectedVersion",
    "Folded",
    "InvalidEventError",
    "InvalidNameError",
    "NewEvent",
    "NotYetVisibleError",
    "OutcomeUnknownError",
    "PlainJSON",
    "PolicyError",
    "PreconditionsIgnoredError",
    "Serializer",
    "Snapshot",
    "StoreError",
    "StreamGapError",
    "StreamTombstonedError",
    "UnreachableError",
]
