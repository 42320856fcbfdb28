"""What version does a stream have, if the listing shows this newest chunk? And does the store tell sizes truly?

The version of a stream follows from the size of its newest chunk (see `keys`). A gateway that encrypts or compresses
what passes through it may list other sizes, and versions would be wrong without anybody noticing. So the first time a
process learns a version from a size in some place, it gets that chunk and counts: one GET.
"""

from __future__ import annotations

from dataclasses import dataclass

from consistent_s3.core.errors import NotYetVisibleError
from consistent_s3.eventstore.errors import StreamTombstonedError
from consistent_s3.eventstore.fetching import Fetcher
from consistent_s3.eventstore.keys import Chunk
from consistent_s3.eventstore.names import Stream

truthful: set[str] = set()
"""Places where this process has seen that a size is told as it was written."""
COLLECTED_MEANWHILE = 3
"""How often a listed chunk may be gone at its GET before the store, and not the collector, is to blame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionTeller:
    """Tells versions in one place."""

    place: str
    """What names the bucket among all that this process uses."""
    fetcher: Fetcher

    def version(self, newest: Chunk | None, stream: Stream) -> int:
        """Return the version of a stream whose newest chunk this is.

        Raises: `StreamTombstonedError`; `DamagedStreamError` where sizes are not told as they were written;
        `KeyMissingError` if the chunk had to be read and is gone meanwhile: list again.
        """
        if newest is None:
            return 0
        if newest.version == 0 and self.place not in truthful:
            self.fetcher.fetch(stream, newest)
            truthful.add(self.place)
        if newest.tombstone:
            raise StreamTombstonedError(
                f"Stream {stream.name!r} was ended by a tombstone after event {newest.last}. Use another id: this one "
                "is never used again.",
                name=stream.name,
                version=newest.last,
            )
        return newest.last


def never_shown(stream: Stream) -> NotYetVisibleError:
    """Return the error for a newest chunk that is listed, and was denied too often."""
    return NotYetVisibleError(
        f"The newest chunk of stream {stream.name!r} is listed, but the store denied it {COLLECTED_MEANWHILE} times. "
        "Its LIST or GET is not strongly consistent: streams are not safe there."
    )
