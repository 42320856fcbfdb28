"""What was the newest of some names at a moment? From rows: two queries, however many names and versions there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from consistent_s3.core.rewinding import Around
from consistent_s3.index.database import DatabaseIndex
from consistent_s3.index.row_times import as_kept
from consistent_s3.index.version_rows import as_version
from consistent_s3.models import StoredObject, StoredVersion, digest

NAMES = 500
"""Names that are asked for together; of each at most three versions are held in memory."""


def around_rows(index: DatabaseIndex, names: Sequence[str], moment: datetime) -> dict[str, Around]:
    """Return what of each name lies around an aware moment: two queries for every `NAMES` names."""
    found = {name: Around() for name in names}
    for begin in range(0, len(names), NAMES):
        _add(found, index, names[begin : begin + NAMES], moment)
    return found


def all_names(index: DatabaseIndex) -> Iterator[str]:
    """Yield all names that have rows: one query for every `NAMES` of them, and none is left open in between."""
    objects = StoredObject.objects.using(index.using).filter(place_digest=digest(index.place)).order_by("pk")
    after = 0
    while page := list(objects.filter(pk__gt=after).values_list("pk", "name")[:NAMES]):
        yield from (name for _, name in page)
        after = page[-1][0]


def _add(found: dict[str, Around], index: DatabaseIndex, names: Sequence[str], moment: datetime) -> None:
    by_digest = {digest(index.place, name): name for name in names}
    versions = StoredVersion.objects.using(index.using)
    of_object: QuerySet[Any] = versions.filter(stored_object=OuterRef("pk"))
    then = of_object.filter(modified__lte=as_kept(moment)).order_by("-number").values("number")[:1]
    after = of_object.filter(number__gt=OuterRef("then")).order_by("number").values("number")[:1]
    objects = StoredObject.objects.using(index.using).filter(digest__in=by_digest)
    told = list(
        objects.annotate(then=Coalesce(Subquery(then), 0))
        .annotate(after=Coalesce(Subquery(after), 0))
        .values_list("pk", "digest", "newest", "then", "after")
    )
    # Asked for by number alone, so some rows of other names come along, and are let go at once.
    numbers = {number for _, _, *some in told for number in some if number}
    wanted = {(pk, number) for pk, _, *some in told for number in some}
    rows = versions.filter(stored_object__in=[pk for pk, *_ in told], number__in=numbers)
    known = {
        (row.stored_object_id, row.number): row
        for row in rows.iterator(chunk_size=2000)
        if (row.stored_object_id, row.number) in wanted
    }
    for pk, by, *some in told:
        name = by_digest[by]
        newest, before, above = (
            as_version(name, known[pk, number]) if (pk, number) in known else None for number in some
        )
        found[name] = Around(newest=newest, then=before, after=above)
