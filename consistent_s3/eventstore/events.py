"""What is an event, and what can a writer expect of a stream?"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """One fact that is to be appended."""

    type: str
    """What happened, for example `OrderPaid`."""
    data: Any = None
    """Whatever the store's serializer can turn into JSON."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What is told about the event: who, from where, which request. As `data`."""
    id: uuid.UUID = field(default_factory=uuid.uuid4)
    """Tells the event from all others: whoever appends again sends the same ids."""
    time: datetime | None = None
    """When it happened: aware. `None` for when it is appended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One fact that was appended."""

    position: int
    """Its place in its stream: 1, 2, 3 ... without gaps."""
    id: uuid.UUID
    type: str
    data: Any
    metadata: Mapping[str, Any]
    time: datetime
    """When it happened: aware, in UTC, by the writer's clock. Never order by it."""


class Expected(Enum):
    """What a writer expects of a stream when it does not name the version."""

    ANY = "any"
    """Nothing: whoever is first, this comes after it."""
    NONE_YET = "none yet"
    """That it has no event. The same as version 0."""
    EXISTS = "exists"
    """That it has events, however many."""


ANY = Expected.ANY
NONE_YET = Expected.NONE_YET
EXISTS = Expected.EXISTS

ExpectedVersion: TypeAlias = int | Expected
"""The version that a stream must have: the position of its last event, 0 for none yet; or an `Expected`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The state that folding a stream's events up to some position gave. Disposable: it can be folded again."""

    schema_version: int | str
    """Says what the state looks like, and which fold made it. Another one is passed over."""
    state: Any
    """Whatever the store's serializer can turn into JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """What came of an append."""

    events: tuple[Event, ...]
    """What was appended, with positions."""
    repeated: bool = False
    """They were there already, appended by an earlier call with the same ids: this one changed nothing."""

    @property
    def version(self) -> int:
        """Return the position of the last event appended: what to expect next time."""
        return self.events[-1].position
