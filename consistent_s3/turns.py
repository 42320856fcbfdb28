"""Who goes on with a run when a worker's turn is over? Whoever takes what is enqueued here, on any queue.

A worker begins with one slice, goes through as many as a turn lasts, and enqueues one message for each slice that is
left free. A slice that failed for what may be over in a minute is tried again; otherwise its run has failed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Protocol

from django.db import DatabaseError

from consistent_s3 import collection, runs
from consistent_s3.errors import CollectionFailedError, UnreachableError
from consistent_s3.models import CollectionRun
from consistent_s3.storage import ConsistentS3Storage

TRIES = 3
"""How often a slice may fail before its run does."""
PASSING = (UnreachableError, DatabaseError)
"""What may be over in a minute."""
PAUSE = 60
"""Seconds after which a slice that failed is tried again; the second time twice as long."""


class Enqueue(Protocol):
    """Something that gives a slice of a run to another worker."""

    def __call__(self, run: int, *, seconds: int = 0) -> object:
        """Have a slice of a run gone through, not before some seconds are over."""
        ...


def collect_garbage(storages: Sequence[str] | None, order: runs.Order, enqueue: Enqueue) -> dict[str, dict[str, Any]]:
    """Collect each storage, by alias; all that keep versions if none are named: about a turn each, here.

    Returns for each alias what was counted by now, the number of the run and its state, fit for JSON.

    Raises: `CollectionFailedError` after all were tried, if one could not be collected, or was refused.
    """
    summaries: dict[str, dict[str, Any]] = {}
    failures: list[str] = []
    for alias in collection.storage_aliases() if storages is None else storages:
        try:
            run = collection.begin(alias, order)
            go_on(run, enqueue)
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


def resume(enqueue: Enqueue) -> list[int]:
    """Give the runs that nobody works on to workers, and return their numbers."""
    states = (CollectionRun.State.PLANNING, CollectionRun.State.SWEEPING)
    resumed = [run for run in CollectionRun.objects.filter(state__in=states) if runs.is_left(run)]
    for run in resumed:
        enqueue(run.pk)
    return [run.pk for run in resumed]


def go_on(run: CollectionRun, enqueue: Enqueue) -> None:
    """Work for about a turn, and see to it that somebody goes on with what is left.

    Raises: what kept the run from its end, which is then noted in it.
    """
    storage = collection.versioned_storage(run.storage)
    until = time.monotonic() + runs.TURN
    pieces = _work(run, storage, enqueue)
    while pieces and time.monotonic() < until:
        for _ in range(pieces - 1):
            enqueue(run.pk)
        pieces = _work(run, storage, enqueue)
    for _ in range(pieces):
        enqueue(run.pk)
    run.refresh_from_db()


def _work(run: CollectionRun, storage: ConsistentS3Storage, enqueue: Enqueue) -> int:
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
        enqueue(run.pk, seconds=PAUSE * failures)
        return 0
