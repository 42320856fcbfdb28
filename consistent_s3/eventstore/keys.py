"""What does the key of a chunk look like, and what does a listing tell of it?

For the stream `order/7` under the prefix `events`:

    events/order/7/9999999999999999993.999999999          events 6 ..., as they were appended
    events/order/7/9999999999999999998.999999998-5        events 1 to 5, written again as chunk version 1
    events/order/7/9999999999999999998.999999999          events 1 ..., as they were appended

1. Events have positions 1, 2, 3 ... A chunk holds events that follow one another. Its key tells the position of the
   first as its nines' complement, so the newest chunk is the first key of a listing of `events/order/7/`, and the
   stream's version, the position of its last event, is known from one LIST of one key.
2. Two writers who append after the same version reach for the same key, whatever they append: that is what a
   conditional put decides on. So a key cannot tell how many events its chunk has. The *size* does: an appended chunk is
   padded with zero bytes (which gzip passes over) until its size modulo 1,024 is the number of its events. 0 events are
   a tombstone.
3. A chunk that is written again, with a snapshot or to cover many, gets a chunk version of 1 or more, also written as
   its complement. Nobody else may mean other events by that, so its key does tell how many they are.
4. A rewritten chunk that covers more than one other leaves the newest of its stream alone. So the first key of a
   listing is that of the last event, whatever is written again, collected, or half collected.
5. `{id}/` is the beginning of no other stream's keys. A type's streams are what a listing with the delimiter `/` folds.
6. What is added is made of digits, `.` and `-`.

A store that told sizes otherwise than they were written would tell wrong versions: see `measuring`, and every GET
compares.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime

from consistent_s3.core.errors import InvalidNameError
from consistent_s3.core.keys import MAX_KEY_BYTES, Layout
from consistent_s3.core.names import shorten
from consistent_s3.core.numbers import MAX_NUMBER, from_digits, to_digits
from consistent_s3.core.seams import ObjectInfo
from consistent_s3.eventstore.names import MAX_SEGMENT_BYTES, Stream, from_segment, to_segment

MODULUS = 1024
"""The size of an appended chunk modulo this is the number of its events."""
MAX_APPEND = 1000
"""Events in one append."""
MAX_CHUNK_VERSION = 10**9 - 1
"""The greatest chunk version."""

_CHUNK = re.compile(r"(?P<first>[0-9]{19})\.(?P<version>[0-9]{9})(?:-(?P<count>[1-9][0-9]{0,18}))?")
_LONGEST = len("/") + 19 + len(".") + 9 + len("-") + 19


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One object of a stream, as a listing tells of it. Two chunks are equal if they have one key."""

    key: str
    first: int = field(compare=False)
    """The position of its first event; of a tombstone, the one that the next event would have had."""
    count: int = field(compare=False)
    """How many events; 0 for a tombstone."""
    version: int = field(compare=False, default=0)
    """The chunk version: 0 as it was appended."""
    size: int = field(compare=False, default=0)
    """Bytes as stored."""
    modified: datetime = field(compare=False, default=datetime(1970, 1, 1, tzinfo=UTC))
    """When it was written, by the store's clock."""

    @property
    def last(self) -> int:
        """Return the position of its last event; of a tombstone, of the one before."""
        return self.first + self.count - 1

    @property
    def tombstone(self) -> bool:
        """Return whether it ends its stream."""
        return self.count == 0


@dataclass(frozen=True, slots=True)
class StreamLayout:
    """Streams to keys and back, under one prefix. Raises: `InvalidNameError` for a prefix that leaves no room."""

    prefix: str
    """Without slashes at its ends; empty for the whole bucket."""

    def __post_init__(self) -> None:
        prefix = self.prefix
        if not isinstance(prefix, str) or prefix != prefix.strip("/") or "//" in prefix or not prefix.isprintable():
            raise InvalidNameError(
                f"The prefix of an event store is {prefix!r}. Give a path without slashes at its ends, for example "
                "'events'."
            )
        room = MAX_KEY_BYTES - 2 * MAX_SEGMENT_BYTES - _LONGEST - len("//")
        if len(prefix.encode()) > room:
            raise InvalidNameError(
                f"The prefix {shorten(prefix)!r} of an event store has {len(prefix.encode())} bytes, and {room} is the "
                "most. Shorten it."
            )

    @property
    def root(self) -> str:
        """Return the prefix of every key."""
        return f"{self.prefix}/" if self.prefix else ""

    @property
    def selftest_key(self) -> str:
        """Return a key of no stream, to be created again and again: see `core.selftest`."""
        return Layout(location=self.prefix).selftest_key

    def types_prefix(self, stream_type: str) -> str:
        """Return the prefix of all streams of a type."""
        return f"{self.root}{to_segment(stream_type)}/"

    def stream_prefix(self, stream: Stream) -> str:
        """Return the prefix under which the newest chunk is the first key."""
        return f"{self.types_prefix(stream.type)}{to_segment(stream.id)}/"

    def chunk_key(self, stream: Stream, first: int, *, version: int = 0, count: int = 0) -> str:
        """Return the key of a chunk; `count` counts only where the chunk version is not 0."""
        complement = f"{MAX_CHUNK_VERSION - version:09d}"
        return f"{self.stream_prefix(stream)}{to_digits(first)}.{complement}{f'-{count}' if version else ''}"

    def below(self, stream: Stream, position: int) -> str:
        """Return the place in a listing before all chunks whose first event is at `position` or earlier."""
        if position >= MAX_NUMBER:
            return ""
        return f"{self.stream_prefix(stream)}{to_digits(position + 1)}~"

    def after_stream(self, stream: Stream) -> str:
        """Return the place in a listing after all chunks of a stream and before those of every other."""
        return f"{self.stream_prefix(stream)}~"

    def parse(self, info: ObjectInfo) -> tuple[Stream, Chunk] | None:
        """Return the chunk under a listed key, and whose it is; `None` for what is not ours."""
        if not info.key.startswith(self.root):
            return None
        parts = info.key.removeprefix(self.root).split("/")
        if len(parts) != 3:
            return None
        stream_type, stream_id = from_segment(parts[0]), from_segment(parts[1])
        chunk = parse_chunk(info)
        if stream_type is None or stream_id is None or chunk is None:
            return None
        return Stream(stream_type, stream_id), chunk


def parse_chunk(info: ObjectInfo) -> Chunk | None:
    """Return the chunk under a listed key; `None` for what is no chunk's key."""
    match = _CHUNK.fullmatch(info.key.rpartition("/")[2])
    first = from_digits(match["first"]) if match else None
    if match is None or first is None:
        return None
    version = MAX_CHUNK_VERSION - int(match["version"])
    if bool(version) != bool(match["count"]):
        return None
    count = int(match["count"]) if version else info.size % MODULUS
    return Chunk(key=info.key, first=first, count=count, version=version, size=info.size, modified=info.modified)


def pad(data: bytes, count: int) -> bytes:
    """Return gzipped bytes with as many zero bytes as make the size tell the number of events; rule 2."""
    return data + bytes((count - len(data)) % MODULUS)
