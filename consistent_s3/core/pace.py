"""How many requests a second may a collection send? Deleting must not take from visitors what the store can bear."""

from __future__ import annotations

from dataclasses import dataclass, field

from consistent_s3.core.seams import Clock, SystemClock


@dataclass(slots=True, kw_only=True)
class Pace:
    """Spreads requests evenly. Not for several threads: each part of a collection has its own."""

    per_second: float | None = None
    """Requests a second at most; `None` for no limit."""
    clock: Clock = field(default_factory=SystemClock)
    _next: float = 0.0

    def wait(self, *, requests: int = 1) -> None:
        """Wait until the next request may be sent, or the next few one after the other."""
        if self.per_second is None:
            return
        now = self.clock.monotonic()
        if self._next > now:
            self.clock.sleep(self._next - now)
        self._next = max(now, self._next) + requests / self.per_second
