"""Clocks that stand still until they are told to move, and clocks that are wrong."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from consistent_s3.core.seams import Clock


@dataclass(slots=True)
class ManualClock:
    """A `Clock` that moves only when told to, or when somebody sleeps."""

    time: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    _monotonic: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def now(self) -> datetime:
        """Return the time it was told."""
        return self.time

    def monotonic(self) -> float:
        """Return the seconds it was moved in all."""
        return self._monotonic

    def sleep(self, seconds: float) -> None:
        """Move on by so much at once."""
        self.advance(timedelta(seconds=seconds))

    def advance(self, by: timedelta) -> None:
        """Move on."""
        with self._lock:
            self.time += by
            self._monotonic += by.total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetClock:
    """A clock that is fast, or slow."""

    inner: Clock
    offset: float

    def now(self) -> datetime:
        """Return the time, as this clock shows it."""
        return self.inner.now() + timedelta(seconds=self.offset)

    def monotonic(self) -> float:
        """Return seconds from an arbitrary point."""
        return self.inner.monotonic() + self.offset

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self.inner.sleep(seconds)
