"""Which versions of streams has this process seen a moment ago?

A writer that appends again and again need not list its stream each time: the version after its last append is known.
Such a version may be used until `write_deadline` after it was seen, by the monotonic clock (see `core.claiming`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from consistent_s3.eventstore.names import Stream

MOST = 10_000
"""Streams remembered; the one not used for longest is forgotten first."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A version of a stream, and a moment at which it was the newest."""

    version: int
    at: float
    """By the monotonic clock."""


@dataclass(slots=True)
class SeenVersions:
    """Remembers versions. Safe in many threads."""

    most: int = MOST
    _seen: OrderedDict[Stream, Seen] = field(default_factory=OrderedDict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def note(self, stream: Stream, version: int, *, at: float) -> None:
        """Remember a version, unless a newer one is remembered, or the same of later."""
        with self._lock:
            known = self._seen.get(stream)
            if known is None or (version, at) > (known.version, known.at):
                self._seen[stream] = Seen(version, at)
            self._seen.move_to_end(stream)
            if len(self._seen) > self.most:
                self._seen.popitem(last=False)

    def since(self, stream: Stream, at: float) -> Seen | None:
        """Return what was seen of a stream at a moment or later."""
        with self._lock:
            known = self._seen.get(stream)
            return known if known is not None and known.at >= at else None

    def forget(self, stream: Stream) -> None:
        """Forget a stream."""
        with self._lock:
            self._seen.pop(stream, None)
