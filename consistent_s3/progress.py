"""How far is a collection, how fast, and when will it end?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from consistent_s3.core.fates import Summary
from consistent_s3.models import CollectionRun

State = CollectionRun.State


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A run as it is at one moment."""

    run: CollectionRun
    counted: Summary
    """What was counted in the part that is under way; of a run that has ended, in its last."""
    now: datetime

    @property
    def is_plan(self) -> bool:
        """Return whether what was counted as deleted only would go."""
        return self.run.swept_from is None

    @property
    def whole(self) -> int:
        """Return how many objects there are to go through; 0 while nobody knows."""
        plan = self.run.planned or (self.run.approves.planned if self.run.approves else {})
        return 0 if self.run.state == State.PLANNING else int(plan.get("scanned", 0))

    @property
    def percent(self) -> int | None:
        """Return how much of the whole is done; `None` while nobody knows. 100 only for what is done."""
        if self.run.state == State.DONE:
            return 100
        return min(self.counted.scanned * 100 // self.whole, 99) if self.whole else None

    @property
    def elapsed(self) -> timedelta:
        """Return how long the part that is under way, or was the last, took by now."""
        return max((self.run.finished or self.now) - (self.run.swept_from or self.run.started), timedelta(0))

    @property
    def rate(self) -> float | None:
        """Return objects gone through in a second; `None` before there is anything to tell."""
        seconds = self.elapsed.total_seconds()
        return self.counted.scanned / seconds if seconds and self.counted.scanned else None

    @property
    def estimated_end(self) -> datetime | None:
        """Return when it ends if it goes on like this; `None` if it has ended, or nobody can tell."""
        if not self.run.is_active or not self.rate or not self.whole:
            return None
        return self.now + timedelta(seconds=max(self.whole - self.counted.scanned, 0) / self.rate)


def progress(run: CollectionRun) -> Progress:
    """Return how far a run is: a query of its slices while it is under way, unless they were prefetched."""
    if run.is_active:
        sweeps = run.state == State.SWEEPING
        counted = Summary(dry_run=run.dry_run)
        for slice_ in run.slices.all():
            if slice_.sweeps == sweeps:
                counted.add(Summary.from_dict(slice_.counted))
    else:
        counted = Summary.from_dict(run.summary or run.planned)
    return Progress(run=run, counted=counted, now=timezone.now())
