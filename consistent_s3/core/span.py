"""Which part of an archive?"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What comes after one place of a survey, up to and including another. Each survey has its own kind of places."""

    after: str = ""
    """Empty: from the beginning."""
    until: str = ""
    """Empty: to the end."""

    def holds(self, place: str) -> bool:
        """Return whether a place lies properly inside, in the order of bytes."""
        return place.encode() > self.after.encode() and (not self.until or place.encode() < self.until.encode())
