"""What is inside a chunk?

One gzipped JSON document, so that `zcat` shows it:

    {"format": 1, "type": "order", "id": "7", "first": 6, "events": [{"id": ..., "type": ..., "data": ..., "metadata":
    ..., "time": ...}, ...], "snapshots": [{"schema_version": ..., "position": ..., "state": ...}]}

It says itself whose it is and where it begins. What a key and a size tell is compared with that at every read, so
that a store which tells sizes otherwise than they were written is found out, and nothing is read that is not the
stream's.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from consistent_s3.core.errors import ConsistentS3Error
from consistent_s3.eventstore.errors import DamagedStreamError, InvalidEventError
from consistent_s3.eventstore.events import Event, NewEvent, Snapshot
from consistent_s3.eventstore.keys import MAX_APPEND, Chunk, pad
from consistent_s3.eventstore.names import Stream
from consistent_s3.eventstore.serializing import UNREADABLE, Serializer, encoded_and_decoded, encoded_state, shown

CONTENT_TYPE = "application/gzip"
FORMAT = 1
MAX_APPEND_BYTES = 5_000_000
"""Bytes of JSON in one append, before it is compressed; its snapshot not counted."""
MAX_SNAPSHOT_BYTES = 5_000_000
"""The same of one snapshot."""
MAX_TYPE = 200
"""Characters in the type of an event."""
LEVEL = 6
"""How hard gzip tries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One event as it is kept, its position not counted: that follows from where it is."""

    event: Event
    """As it will be read, but for its position."""
    json: str
    """As it is kept."""

    @property
    def id(self) -> str:
        """Return the event's id."""
        return str(self.event.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSnapshot:
    """One snapshot as it is kept."""

    schema_version: int | str
    position: int
    """It is the state after this event."""
    state: Any

    @property
    def size(self) -> int:
        """Return how many bytes of JSON the state takes."""
        return len(_json(self.state))


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What a chunk holds."""

    stream: Stream
    first: int
    events: Sequence[Any]
    """As JSON holds them."""
    size: int = 0
    """Bytes of JSON, with snapshots."""
    snapshots: tuple[KeptSnapshot, ...] = ()
    tombstone: bool = False


def prepare(events: Sequence[NewEvent], *, serializer: Serializer, now: datetime) -> list[Record]:
    """Return events as they are kept. Raises `InvalidEventError` for what cannot be, before any request."""
    if isinstance(events, NewEvent):
        raise InvalidEventError("One event was given where a list is expected. Put it into brackets: [event].")
    events = list(events)
    if not events:
        raise InvalidEventError("There is no event to append. Give at least one.")
    if len(events) > MAX_APPEND:
        raise InvalidEventError(
            f"{len(events)} events are too many for one append, which is all of them or none: {MAX_APPEND} is the "
            "most. Append them in parts."
        )
    records = [_prepared(event, f"Event {place}", serializer, now) for place, event in enumerate(events, start=1)]
    seen: dict[str, int] = {}
    for place, record in enumerate(records, start=1):
        if record.id in seen:
            raise InvalidEventError(
                f"Events {seen[record.id]} and {place} of this append both have the id {record.id}. Give each its own."
            )
        seen[record.id] = place
    size = sum(len(record.json) for record in records)
    if size > MAX_APPEND_BYTES:
        largest = max(range(len(records)), key=lambda place: len(records[place].json))
        raise InvalidEventError(
            f"The events of this append take {size} bytes, and {MAX_APPEND_BYTES} is the most; the largest is event "
            f"{largest + 1} with {len(records[largest].json)}. Append them in parts, or keep large contents in a file "
            "and its name in the event."
        )
    return records


def _prepared(event: NewEvent, where: str, serializer: Serializer, now: datetime) -> Record:
    if not isinstance(event, NewEvent):
        raise InvalidEventError(f"{where} is of type {type(event).__name__}. Give instances of NewEvent.")
    if not isinstance(event.id, UUID):
        raise InvalidEventError(f"The id of {where.lower()} is {event.id!r}. Give a uuid.UUID.")
    if not isinstance(event.type, str) or not event.type.strip() or len(event.type) > MAX_TYPE:
        raise InvalidEventError(
            f"The type of {where.lower()} is {str(event.type)[:80]!r}. Give a string of 1 to {MAX_TYPE} characters."
        )
    if not event.type.isprintable():
        raise InvalidEventError(f"The type of {where.lower()}, {event.type!r}, has a control character. Remove it.")
    time = now if event.time is None else event.time
    if not isinstance(time, datetime) or time.utcoffset() is None:
        raise InvalidEventError(f"The time of {where.lower()} is {time!r}. Give an aware datetime, or none at all.")
    try:
        time = time.astimezone(UTC)
    except OverflowError as error:
        raise InvalidEventError(
            f"The time of {where.lower()} is {time!r}, which UTC does not have. Give one of the years 1 to 9999."
        ) from error
    named = f"{where} ({event.type})"
    data, data_again = encoded_and_decoded(serializer, event.data, f"{named}: data")
    kept = {"id": str(event.id), "type": event.type, "data": data, "time": time.isoformat()}
    if not isinstance(event.metadata, Mapping):
        raise InvalidEventError(
            f"The metadata of {where.lower()} ({event.type}) are of type {type(event.metadata).__name__}. Give a dict."
        )
    metadata, metadata_again = encoded_and_decoded(serializer, dict(event.metadata), f"{named}: metadata")
    if metadata:
        kept["metadata"] = metadata
    read = Event(position=0, id=event.id, type=event.type, data=data_again, metadata=metadata_again, time=time)
    return Record(event=read, json=_json(kept))


def prepare_snapshot(snapshot: Snapshot, *, serializer: Serializer, position: int) -> KeptSnapshot:
    """Return a snapshot as it is kept. Raises `InvalidEventError`, also for a state that it would not give back."""
    check_schema_version(snapshot.schema_version)
    state = encoded_state(serializer, snapshot.state, "The state of the snapshot")
    return KeptSnapshot(schema_version=snapshot.schema_version, position=position, state=state)


def check_schema_version(version: object) -> None:
    """Refuse what is no schema version. Raises `InvalidEventError`."""
    if isinstance(version, int):
        fits = not isinstance(version, bool) and abs(version) < 10**MAX_TYPE
    else:
        fits = isinstance(version, str) and len(version) <= MAX_TYPE
    if not fits:
        raise InvalidEventError(
            f"The schema version of a snapshot is {shown(version)}. Give a whole number or a short string."
        )


def pack(stream: Stream, first: int, events: Sequence[str], *, snapshots: Sequence[KeptSnapshot] = ()) -> bytes:
    """Return the bytes of a chunk, not padded; each event is given as JSON."""
    head = {"format": FORMAT, "type": stream.type, "id": stream.id, "first": first}
    kept = [{"schema_version": one.schema_version, "position": one.position, "state": one.state} for one in snapshots]
    text = f'{_json(head)[:-1]},"events":[{",".join(events)}],"snapshots":{_json(kept)}}}'
    return gzip.compress(text.encode(), compresslevel=LEVEL, mtime=0)


def pack_appended(stream: Stream, first: int, records: Sequence[Record], snapshots: Sequence[KeptSnapshot]) -> bytes:
    """Return the bytes of a chunk as it is appended: its size tells the number of events."""
    return pad(pack(stream, first, [record.json for record in records], snapshots=snapshots), len(records))


def pack_tombstone(stream: Stream, first: int, *, now: datetime) -> bytes:
    """Return the bytes of a tombstone."""
    head = {"format": FORMAT, "type": stream.type, "id": stream.id, "first": first, "tombstone": now.isoformat()}
    return pad(gzip.compress(_json(head).encode(), compresslevel=LEVEL, mtime=0), 0)


def unpack(data: bytes, stream: Stream, chunk: Chunk) -> Body:
    """Return what a chunk holds. Raises `DamagedStreamError` if that is not what its key and its listing tell."""
    try:
        text = gzip.decompress(data)
        kept = json.loads(text)
        version = kept["format"]
        if version == FORMAT:
            _check_shape(kept)
    except (OSError, EOFError, zlib.error, ValueError, TypeError, KeyError, RecursionError) as error:
        raise DamagedStreamError(
            f"{chunk.key!r} is no chunk of a stream: {error}. Something else has written there. Look at the object."
        ) from error
    if version != FORMAT:
        raise DamagedStreamError(
            f"{chunk.key!r} has format {version!r}, and this version of consistent_s3 reads {FORMAT}. Update it."
        )
    events = kept.get("events", [])
    told = kept.get("type"), kept.get("id"), kept.get("first")
    if told != (stream.type, stream.id, chunk.first):
        raise DamagedStreamError(
            f"{chunk.key!r} holds events of {f'{told[0]}/{told[1]}'!r} from {told[2]!r}, not of {stream.name!r} "
            f"from {chunk.first}. It was copied there: remove it."
        )
    if len(data) != chunk.size or len(events) != chunk.count:
        raise DamagedStreamError(
            f"{chunk.key!r} is listed with {chunk.size} bytes, which means {chunk.count} events; {len(data)} bytes "
            "with "
            f"{len(events)} events were read. Streams cannot be kept in a store that tells other sizes than were "
            "written."
        )
    return Body(
        stream=stream,
        first=chunk.first,
        events=events,
        size=len(text),
        snapshots=tuple(
            KeptSnapshot(schema_version=one["schema_version"], position=one["position"], state=one["state"])
            for one in kept.get("snapshots", ())
        ),
        tombstone="tombstone" in kept,
    )


def _check_shape(kept: dict[str, Any]) -> None:
    """Raise `ValueError` for what no event store has written."""
    events, snapshots = kept.get("events", []), kept.get("snapshots", [])
    for place, event in enumerate(_listed(events, "events"), start=1):
        texts = isinstance(event, dict) and all(isinstance(event.get(name), str) for name in ("id", "type", "time"))
        if not texts or "data" not in event:
            raise ValueError(f"number {place} of its events is none")
    for place, one in enumerate(_listed(snapshots, "snapshots"), start=1):
        complete = isinstance(one, dict) and {"schema_version", "position", "state"} <= one.keys()
        if not complete or not isinstance(one["schema_version"], int | str) or type(one["position"]) is not int:
            raise ValueError(f"number {place} of its snapshots is none")


def _listed(value: Any, what: str) -> list[Any]:
    if isinstance(value, list):
        return value
    raise ValueError(f"its {what} are no list")


def event_at(kept: Any, position: int, serializer: Serializer) -> Event:
    """Return an event as people see it. Raises what the serializer raises for what it does not know."""
    try:
        return Event(
            position=position,
            id=UUID(kept["id"]),
            type=kept["type"],
            data=serializer.decode(kept["data"]),
            metadata=serializer.decode(kept.get("metadata", {})),
            time=datetime.fromisoformat(kept["time"]),
        )
    except ConsistentS3Error:
        raise
    except UNREADABLE as error:
        raise DamagedStreamError(
            f"Event {position} cannot be read: {error!r}. Use the serializer that it was written with."
        ) from error


def as_json(kept: Any) -> str:
    """Return an event of a `Body` as `pack` wants it."""
    return _json(kept)


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
