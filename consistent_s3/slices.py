"""What goes through a slice of a collection: which survey shows what is there, and what decides and deletes?

A slice is of versions, or of streams of events. Versions are shown by the rows, or by the bucket's listing; streams by
the listing alone, so they are gone through when the bucket is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import router, transaction

from consistent_s3 import policies
from consistent_s3.core.collector import BaseCollector, Collector
from consistent_s3.core.pace import Pace
from consistent_s3.core.seams import EnumeratingIndex
from consistent_s3.core.survey import IndexSurvey, ListingSurvey, Survey
from consistent_s3.models import CollectionRun, CollectionSlice
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.streams.stores import has_streams, storage_event_store


def collector_of(
    slice_: CollectionSlice, storage: ConsistentS3Storage, *, alive: Callable[[], object] = lambda: None
) -> BaseCollector:
    """Return what goes through a slice; `alive` hears of every page that is listed."""
    pace = _pace(storage)
    if slice_.streams:
        return storage_event_store(storage).collector(policy=storage.policy, pace=pace)
    return Collector(
        archive=storage.archive,
        policy=storage.policy,
        circumstances=policies.circumstances(storage),
        index_is_complete=getattr(storage.archive.index, "is_complete", True),
        survey=_survey_of_versions(slice_.run, storage, pace, alive=alive),
        pace=pace,
    )


def survey_of(slice_: CollectionSlice, storage: ConsistentS3Storage) -> Survey:
    """Return what shows what is there in a slice, and where it can be cut in two."""
    return collector_of(slice_, storage).make_survey()


def goes_on_with_streams(run: CollectionRun, storage: ConsistentS3Storage) -> bool:
    """Have the streams gone through, if there are any: after all versions, once. Return whether they will be."""
    of_streams: dict[str, Any] = {"run": run, "sweeps": run.state == CollectionRun.State.SWEEPING, "streams": True}
    if not run.lists_bucket or CollectionSlice.objects.filter(**of_streams).exists() or not has_streams(storage):
        return False
    with transaction.atomic(using=router.db_for_write(CollectionRun)):
        # Whoever is first writes first; the others then see its slice.
        if not CollectionRun.objects.filter(pk=run.pk, state=run.state).update(state=run.state):
            return False
        return CollectionSlice.objects.get_or_create(**of_streams)[1]


def _survey_of_versions(
    run: CollectionRun, storage: ConsistentS3Storage, pace: Pace, *, alive: Callable[[], object]
) -> Survey:
    archive = storage.archive
    if not run.lists_bucket and isinstance(archive.index, EnumeratingIndex):
        return IndexSurvey(archive=archive, index=archive.index)
    return ListingSurvey(archive=archive, pace=pace, alive=alive)


def _pace(storage: ConsistentS3Storage) -> Pace:
    return Pace(per_second=storage.rules.max_requests_per_second, clock=storage.archive.clock)
