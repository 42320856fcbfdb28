"""What does a deletion hide? The youngest version under it that has bytes, as far as it was not collected."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import F, OuterRef, Subquery

from consistent_s3.models import StoredObject, StoredVersion


def hidden_versions(rows: Sequence[StoredObject], *, using: str) -> dict[int, StoredVersion]:
    """Return, by the key of each name, the version that undeleting it brings back: two queries.

    A name of which nothing is left is missing.
    """
    under = StoredVersion.objects.using(using).filter(
        stored_object=OuterRef("pk"), tombstone=False, number__lt=OuterRef("newest")
    )
    names = StoredObject.objects.using(using).filter(pk__in=[row.pk for row in rows])
    keys = names.order_by().values_list(Subquery(under.order_by("-number").values("pk")[:1]), flat=True)
    found = StoredVersion.objects.using(using).filter(pk__in=[key for key in keys if key])
    return {version.stored_object_id: version for version in found}


def newest_versions(rows: Sequence[StoredObject], *, using: str) -> dict[int, StoredVersion]:
    """Return, by the key of each name, its newest version: one query."""
    found = StoredVersion.objects.using(using).filter(
        stored_object__in=[row.pk for row in rows], number=F("stored_object__newest")
    )
    return {version.stored_object_id: version for version in found}
