"""How far has one slice of a collection come? Noted in its row, so that no death loses or repeats more than a batch.

Each batch is noted before it goes and counted after it went, in one step with the place that was reached: whoever goes
on with the slice does the noted batch once more, which changes nothing in the bucket, and counts it once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from consistent_s3.core.errors import ConsistentS3Error
from consistent_s3.core.fates import Fate, Summary
from consistent_s3.core.retention import Reason
from consistent_s3.core.seams import EnumeratingIndex
from consistent_s3.core.span import Span
from consistent_s3.core.versions import Version
from consistent_s3.models import CollectedObject, CollectionSlice

LEASE = timedelta(minutes=5)
"""How long a slice stays a worker's without a sign of life."""
SIGN_OF_LIFE = 10
"""Signs of life in the time of a lease."""
TOLD = 10_000
"""Objects of a plan that are kept for looking through; the rest is counted."""


class LeaseLostError(ConsistentS3Error):
    """Somebody else goes on with the slice: its worker was taken for dead."""


@dataclass(slots=True, kw_only=True)
class SliceJournal:
    """A `Journal` in the row of a slice that this worker holds the lease of.

    Raises: `LeaseLostError` from every method.
    """

    slice: CollectionSlice
    tells: bool = False
    """Keep what would go, for looking through."""
    _sign_due: datetime = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._sign_due = timezone.now() + LEASE / SIGN_OF_LIFE

    @property
    def span(self) -> Span:
        """Return what is left of the slice."""
        return Span(after=self.slice.cursor or self.slice.after, until=self.slice.until)

    @property
    def counted(self) -> Summary:
        """Return what was counted until now."""
        return Summary.from_dict(self.slice.counted)

    def intended(self, index: object) -> list[Fate]:
        """Return the batch that was begun and not counted, with its versions as an index knows them now."""
        batch = [_fate(values) for values in self.slice.intended]
        known: dict[str, Version] = {}
        if batch and isinstance(index, EnumeratingIndex):
            names = list(dict.fromkeys(fate.name for fate in batch))
            known = {version.key: version for some in index.committed(names).values() for version in some}
        return [_fate(values, known.get(values[2])) for values in self.slice.intended]

    def intend(self, batch: Sequence[Fate]) -> None:
        """Note what is about to be done."""
        self._update(intended=[_values(fate) for fate in batch])

    def done(self, end: str, counted: Summary, fates: Sequence[Fate]) -> None:
        """Note that it is done, and how far the slice is."""
        total = self.counted
        total.add(counted)
        with transaction.atomic(using=self.slice._state.db):
            # Written first: SQLite refuses to write in a transaction that has read what another one changed meanwhile.
            self._update(cursor=end, intended=[], counted=total.as_dict())
            if self.tells and fates:
                self._tell(fates)

    def alive(self) -> None:
        """Give a sign of life, if the last one was long ago."""
        if timezone.now() >= self._sign_due:
            self._update()

    def _update(self, **values: Any) -> None:
        now = timezone.now()
        self._sign_due = now + LEASE / SIGN_OF_LIFE
        values["leased_until"] = now + LEASE
        mine = CollectionSlice.objects.using(self.slice._state.db).filter(pk=self.slice.pk, owner=self.slice.owner)
        if not mine.update(**values):
            raise LeaseLostError("Another worker goes on with this slice.")
        for name, value in values.items():
            setattr(self.slice, name, value)

    def _tell(self, fates: Sequence[Fate]) -> None:
        rows = CollectedObject.objects.using(self.slice._state.db)
        room = max(TOLD - rows.filter(run=self.slice.run).count(), 0)
        rows.bulk_create(
            [
                CollectedObject(
                    run_id=self.slice.run_id,
                    name=fate.name,
                    number=fate.number,
                    key=fate.key,
                    size=fate.size,
                    reason=str(fate.reason),
                    storage_class=fate.storage_class,
                )
                for fate in fates[:room]
            ],
            batch_size=500,
        )


def _values(fate: Fate) -> list[Any]:
    return [fate.name, fate.number, fate.key, fate.size, fate.goes, str(fate.reason), fate.storage_class]


def _fate(values: Sequence[Any], version: Version | None = None) -> Fate:
    name, number, key, size, goes, reason, storage_class = values
    return Fate(
        name=name,
        number=number,
        key=key,
        size=size,
        goes=goes,
        reason=Reason(reason),
        storage_class=storage_class,
        version=version,
    )
