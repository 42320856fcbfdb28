"""What is shown of streams? Each question here costs a bounded number of requests, however much there is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from consistent_s3.collection import storage_aliases, versioned_storage
from consistent_s3.core.errors import ConsistentS3Error, InvalidNameError
from consistent_s3.eventstore import Event, EventStore, Folded, StreamTombstonedError
from consistent_s3.eventstore.keys import StreamLayout
from consistent_s3.eventstore.names import Stream, from_segment, to_segment, validate_segment
from consistent_s3.streams.kinds import StreamKind
from consistent_s3.streams.stores import make_event_store, unfitness
from consistent_s3.streams_admin import budget
from consistent_s3.streams_admin.budget import BudgetSpentError, ReadingBudget

TYPES = 200
"""Types of one storage that are shown."""
IDS = 100
"""Streams on one page."""
EVENTS = 50
"""Events on one page."""
LOOKED_THROUGH = 150
"""Events that are looked through for those of a type, on one page."""
SHORT = 160
"""Characters of an event's data in a list."""
LONG = 200_000
"""Characters of an event's data, or of a state, on a page of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A storage, with the types of its streams."""

    alias: str
    types: Sequence[str] = ()
    more: bool = False
    """There are other types."""
    problem: str = ""
    """Why nothing is known of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """A page of the streams of a type."""

    ids: Sequence[str] = ()
    after: str = ""
    """The id after which the next page begins; empty for no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """An event in a list."""

    event: Event
    data: str
    """Cut short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """A page of the events of a stream."""

    version: int
    lines: Sequence[Line] = field(default_factory=list)
    first: int = 0
    """Where the events that were looked at begin."""
    last: int = 0
    ended: bool = False
    """The stream was ended: its events are not read any more."""


def sources() -> list[Source]:
    """Return all storages that keep versions, with their types: a LIST for each."""
    return [_source(alias) for alias in storage_aliases()]


def reading(alias: str) -> EventStore | None:
    """Return the event store of a storage, for one page; `None` if there is none."""
    if alias not in storage_aliases():
        return None
    storage = versioned_storage(alias)
    if unfitness(storage):
        return None
    return make_event_store(storage, ReadingBudget(inner=storage.make_object_store(), most=budget.MOST))


def streams(events: EventStore, stream_type: str, *, prefix: str, after: str) -> Streams:
    """Return streams of a type whose ids begin so, after an id: one LIST. Raises `InvalidNameError`."""
    layout = StreamLayout(events.prefix)
    for text in filter(None, (prefix, after)):
        validate_segment(text, _("The id of a stream"))
    root = layout.types_prefix(stream_type)
    begin = layout.after_stream(Stream(stream_type, after)) if after else ""
    page = events.store.list(f"{root}{to_segment(prefix)}", delimiter="/", start_after=begin, limit=IDS + 1)
    found = [from_segment(folded.removeprefix(root).rstrip("/")) for folded in page.prefixes]
    ids = [text for text in found if text is not None]
    more = len(page.prefixes) > IDS or bool(page.token)
    return Streams(ids=ids[:IDS], after=ids[:IDS][-1] if more and ids else "")


def lines(events: EventStore, stream: Stream, *, until: int | None, event_type: str) -> Events:
    """Return the newest events up to a position: at most 3 LIST, and a GET for each chunk that has some of them."""
    try:
        version = events.version(stream.type, stream.id)
    except StreamTombstonedError as error:
        return Events(version=error.version, ended=True)
    last = version if until is None else min(until, version)
    count = LOOKED_THROUGH if event_type else EVENTS
    read = events.read(stream.type, stream.id, until=last, limit=count, backwards=True)
    found = [Line(event=event, data=_short(event.data)) for event in read]
    return Events(
        version=version,
        lines=[line for line in found if event_type in {"", line.event.type}],
        first=found[-1].event.position if found else 0,
        last=found[0].event.position if found else 0,
    )


def one(events: EventStore, stream: Stream, position: int) -> tuple[int, Event | None]:
    """Return the version of a stream, and one of its events, if it has that: at most 3 LIST and 1 GET."""
    try:
        version = events.version(stream.type, stream.id)
    except StreamTombstonedError:
        return 0, None
    if not 0 < position <= version:
        return version, None
    return version, next(events.read(stream.type, stream.id, after=position - 1, until=position), None)


def state(events: EventStore, stream: Stream, kind: StreamKind) -> Folded[Any] | str:
    """Return the state of a stream, or in words why it cannot be shown: 1 LIST and 1 GET, if it was kept lately."""
    try:
        return events.state(
            stream.type, stream.id, kind.fold, kind.initial, schema_version=kind.schema_version, snapshot_every=None
        )
    except BudgetSpentError:
        return _(
            "Folding this stream takes more requests than a page may send, since its state was not kept lately. Call "
            "state() of the event store where the stream is written, so that it is kept, compact the stream, or run: "
            "manage.py consistent_s3 events show --state %(stream)s"
        ) % {"stream": stream.name}
    except ConsistentS3Error:
        raise
    except Exception as error:  # noqa: BLE001 - the project's own function
        return _("The fold failed. %(kind)s: %(error)s") % {"kind": type(error).__name__, "error": error}


def pretty(value: Any) -> tuple[str, int]:
    """Return a value as JSON on many lines, and how many characters were cut off its end."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return text[:LONG], max(len(text) - LONG, 0)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHORT else f"{text[: SHORT - 1]}…"


def _source(alias: str) -> Source:
    try:
        obstacle = unfitness(versioned_storage(alias))
        events = None if obstacle else reading(alias)
        if events is None:
            return Source(alias=alias, problem=obstacle)
        types = list(islice(events.types(), TYPES + 1))
    except (ConsistentS3Error, ImproperlyConfigured) as error:
        return Source(alias=alias, problem=str(error))
    return Source(alias=alias, types=types[:TYPES], more=len(types) > TYPES)


def stream_of(stream_type: str, stream_id: str) -> Stream | None:
    """Return the stream that an address names; `None` if there can be none."""
    try:
        return Stream(stream_type, stream_id)
    except InvalidNameError:
        return None
