"""How many bytes does a storage keep, and which names keep the most that nobody reads any more?

Three queries over the rows of the index, however many there are. Where an index has no rows, nobody can tell without
going through the bucket, which is what a collection does.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db import models

from consistent_s3.models import StoredObject, StoredVersion, digest

LARGEST = 20
"""Names that are told one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NameTotals:
    """What a name keeps of noncurrent versions."""

    name: str
    versions: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What a place keeps, by its rows. Objects that no row knows are not counted: a collection finds those."""

    names: int = 0
    """Names with any version."""
    deleted_names: int = 0
    """Those whose newest version is a tombstone."""
    current: int = 0
    current_size: int = 0
    noncurrent: int = 0
    """Versions with bytes that are not current, those of deleted names included; tombstones are none."""
    noncurrent_size: int = 0
    largest: list[NameTotals] = field(default_factory=list)
    """The names with the most noncurrent bytes, largest first; at most `LARGEST`."""


def totals(place: str, *, using: str) -> Totals:
    """Return the totals of a place in the database that has its rows. Raises: `DatabaseError`."""
    versions = StoredVersion.objects.using(using).filter(stored_object__place_digest=digest(place)).order_by()
    newest = models.Q(number=models.F("stored_object__newest"))
    kept = versions.filter(tombstone=False)
    sums = kept.aggregate(
        count=models.Count("pk"),
        bytes=models.Sum("size", default=0),
        current_count=models.Count("pk", filter=newest),
        current_bytes=models.Sum("size", filter=newest, default=0),
    )
    names = StoredObject.objects.using(using).filter(place_digest=digest(place), newest__gt=0).count()
    largest = (
        kept.exclude(newest)
        .values("stored_object", "stored_object__name")
        .annotate(count=models.Count("pk"), bytes=models.Sum("size"))
        .filter(bytes__gt=0)
        .order_by("-bytes", "stored_object")[:LARGEST]
    )
    return Totals(
        names=names,
        deleted_names=names - sums["current_count"],
        current=sums["current_count"],
        current_size=int(sums["current_bytes"]),
        noncurrent=sums["count"] - sums["current_count"],
        noncurrent_size=int(sums["bytes"] - sums["current_bytes"]),
        largest=[
            NameTotals(name=row["stored_object__name"], versions=row["count"], size=int(row["bytes"]))
            for row in largest
        ],
    )
