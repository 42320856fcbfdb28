"""The Celery tasks. Celery is an extra and is imported nowhere else.

CELERY_BEAT_SCHEDULE = {
    "collect-garbage": {"task": "consistent_s3.collect_garbage", "schedule": crontab(hour=3, minute=7)},
    "resume-collections": {"task": "consistent_s3.resume_collections", "schedule": timedelta(minutes=10)},
}

A collection that takes longer than one turn goes on in `consistent_s3.collect_slice`, one message for each slice. The
second entry goes on with what a killed worker has left, whatever became of its message.
"""

from __future__ import annotations

import time
from typing import Any

from celery import shared_task
from django.db import DatabaseError

from consistent_s3 import collection, runs
from consistent_s3.core.errors import ConsistentS3Error, UnreachableError
from consistent_s3.models import CollectionRun
from consistent_s3.storage import ConsistentS3Storage

TRIES = 3
"""How often a slice may fail before its run does."""
PASSING = (UnreachableError, DatabaseError)
"""What may be over in a minute."""


class CollectionFailedError(ConsistentS3Error):
    """At least one storage could not be collected to its end; the others were."""


@shared_task(name="consistent_s3.collect_garbage", acks_late=True, reject_on_worker_lost=True)
def collect_garbage(storages: list[str] | None = None, *, dry_run: bool = False) -> dict[str, dict[str, Any]]:
    """Apply the retention policy of each storage, by alias; of all that keep versions if none are named.

    The payload carries aliases, never a storage: a storage holds credentials. Idempotent, so it may be delivered
    twice. Returns for each alias what was counted by now, the number of the run and its state, fit for JSON: a run
    that takes longer than a turn goes on in tasks of its own.

    Raises: `CollectionFailedError` after all were tried, if one could not be collected, or was refused.
    """
    summaries: dict[str, dict[str, Any]] = {}
    failures: list[str] = []
    for alias in collection.storage_aliases() if storages is None else storages:
        try:
            run = collection.begin(alias, runs.Order(dry_run=dry_run, started_by="Celery"))
            _go_on(run)
        except collection.FAILURES as error:
            collection.logger.exception("could not collect %s", alias)
            failures.append(f"{alias}: {error}")
            continue
        if run.state == CollectionRun.State.REFUSED:
            failures.append(f"{alias}: {run.message}")
            continue
        counted = runs.totals(run).as_dict() if run.is_active else run.summary
        summaries[alias] = {**counted, "run": run.pk, "state": str(run.state)}
    if failures:
        raise CollectionFailedError(
            f"Collected {', '.join(summaries) or 'nothing'}. Failed for {' '.join(failures)} Running it again is safe."
        )
    return summaries


@shared_task(name="consistent_s3.collect_slice", acks_late=True, reject_on_worker_lost=True)
def collect_slice(run: int) -> None:
    """Go through a slice of a run for a turn, whichever is free. Delivered twice, or too late, it does no harm."""
    found = CollectionRun.objects.filter(pk=run).first()
    if found is not None:
        _go_on(found)


@shared_task(name="consistent_s3.resume_collections")
def resume_collections() -> list[int]:
    """Go on with the runs that nobody works on: their workers were killed, or their messages are lost."""
    states = (CollectionRun.State.PLANNING, CollectionRun.State.SWEEPING)
    resumed = [run for run in CollectionRun.objects.filter(state__in=states) if runs.is_left(run)]
    for run in resumed:
        collect_slice.delay(run.pk)
    return [run.pk for run in resumed]


def _go_on(run: CollectionRun) -> None:
    """Work for about a turn, and see to it that somebody goes on with what is left."""
    storage = collection.versioned_storage(run.storage)
    until = time.monotonic() + runs.TURN
    pieces = _work(run, storage)
    while pieces and time.monotonic() < until:
        for _ in range(pieces - 1):
            collect_slice.delay(run.pk)
        pieces = _work(run, storage)
    for _ in range(pieces):
        collect_slice.delay(run.pk)
    run.refresh_from_db()


def _work(run: CollectionRun, storage: ConsistentS3Storage) -> int:
    """Go through a slice, if one is free, and return how many workers find something to do now."""
    claimed = runs.claim(run)
    try:
        return runs.settle(run, storage) if claimed is None else runs.work(claimed, storage)
    except collection.FAILURES as error:
        failures = claimed.failures + 1 if claimed is not None else TRIES
        if failures >= TRIES or not isinstance(error, PASSING):
            runs.end(run, CollectionRun.State.FAILED, str(error))
            raise
        collection.logger.exception("a slice of %s failed, and is tried again", run)
        collect_slice.apply_async((run.pk,), countdown=60 * failures)
        return 0
