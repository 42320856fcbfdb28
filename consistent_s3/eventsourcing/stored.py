"""How does an event of the library become one of a stream, and what are our errors called there?

State is bytes for the library: JSON as a rule, which is kept as text, so that whoever opens a chunk can read it; what
is compressed or encrypted is kept in base64.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from eventsourcing.persistence import (
    DataError,
    IntegrityError,
    InternalError,
    OperationalError,
    ProgrammingError,
    StoredEvent,
)

from consistent_s3.core.errors import (
    ConflictError,
    ConsistentS3Error,
    InvalidNameError,
    OutcomeUnknownError,
)
from consistent_s3.eventstore import Event, NewEvent
from consistent_s3.eventstore.bodies import MAX_TYPE
from consistent_s3.eventstore.errors import DamagedStreamError, InvalidEventError, StreamTombstonedError

VERSION = "version"
TOPIC = "topic"

_CALLED = (
    (ConflictError, IntegrityError),
    ((InvalidEventError, InvalidNameError), DataError),
    (StreamTombstonedError, ProgrammingError),
    (DamagedStreamError, InternalError),
    (ConsistentS3Error, OperationalError),
)
"""The first that fits counts."""


def to_event(stored: StoredEvent, **metadata: Any) -> NewEvent:
    """Return a new event of a stream, with an id of its own."""
    try:
        data = {"text": stored.state.decode()}
    except UnicodeDecodeError:
        data = {"base64": base64.b64encode(stored.state).decode()}
    metadata[VERSION] = stored.originator_version
    if len(stored.topic) > MAX_TYPE:
        metadata[TOPIC] = stored.topic
    return NewEvent(type=stored.topic[-MAX_TYPE:], data=data, metadata=metadata)


def from_event(originator_id: UUID | str, event: Event) -> StoredEvent:
    """Return what the library stored."""
    data = event.data
    return StoredEvent(
        originator_id=originator_id,
        originator_version=event.metadata[VERSION],
        topic=event.metadata.get(TOPIC, event.type),
        state=data["text"].encode() if "text" in data else base64.b64decode(data["base64"]),
    )


@contextmanager
def named_for_the_library(*, unknown: str = "") -> Iterator[None]:
    """Raise what the library's users catch, with our words; the cause is ours.

    `unknown` is what to tell of a write whose outcome nobody knows: it is not the library's users who choose event ids.
    """
    try:
        yield
    except OutcomeUnknownError as error:
        raise OperationalError(unknown or str(error)) from error
    except ConsistentS3Error as error:
        for ours, theirs in _CALLED:
            if isinstance(error, ours):
                raise theirs(str(error)) from error
        raise
