"""What can go wrong with streams, beside what can go wrong with any write (`core.errors`)."""

from __future__ import annotations

from consistent_s3.core.errors import ConsistentS3Error


class InvalidEventError(ConsistentS3Error, ValueError):
    """Events, or a snapshot, that cannot be kept; nothing was sent."""


class StreamTombstonedError(ConsistentS3Error, LookupError):
    """The stream was ended by a tombstone: it is neither read nor written any more, for good."""

    def __init__(self, message: str, *, name: str = "", version: int = 0) -> None:
        super().__init__(message)
        self.name = name
        """The stream, as `type/id`."""
        self.version = version
        """The position of its last event."""


class DamagedStreamError(ConsistentS3Error):
    """What the bucket holds of a stream is not what was written there, or is told wrongly by the store."""


class StreamGapError(DamagedStreamError):
    """Events in the middle of a stream are gone."""
