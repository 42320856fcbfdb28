"""Collecting garbage in the storages of a project: what the Celery tasks, the command and the admin do."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import storages
from django.db import DatabaseError
from django.utils.module_loading import import_string

from consistent_s3 import policies, runs
from consistent_s3.core.fates import Fate, Summary
from consistent_s3.errors import CollectionRefusedError, CollectionRunningError, ConsistentS3Error
from consistent_s3.models import CollectionRun
from consistent_s3.policies import bucket_of, root_of
from consistent_s3.runs import Order
from consistent_s3.storage import ConsistentS3Storage

logger = logging.getLogger("consistent_s3.collection")

FAILURES = (ConsistentS3Error, DatabaseError, ImproperlyConfigured)
"""What may keep one storage from being collected, and must not keep the others from it."""


def storage_aliases() -> list[str]:
    """Return the aliases in `STORAGES` that keep versions; storages of other kinds are not built."""
    return [alias for alias in settings.STORAGES if _keeps_versions(alias)]


def versioned_storage(alias: str) -> ConsistentS3Storage:
    """Return the storage of an alias.

    Raises: `ImproperlyConfigured` if there is none, if it keeps no versions, or for bad options.
    """
    storage = storages[alias] if alias in settings.STORAGES and _keeps_versions(alias) else None
    if not isinstance(storage, ConsistentS3Storage):
        known = ", ".join(repr(known) for known in storage_aliases()) or "none"
        raise ImproperlyConfigured(f"{alias!r} is no storage that keeps versions. STORAGES has these: {known}.")
    return storage


def collect_garbage(
    alias: str,
    *,
    dry_run: bool = False,
    order: Order | None = None,
    tell: Callable[[Fate], object] | None = None,
    progress: Callable[[CollectionRun], object] | None = None,
) -> Summary:
    """Delete what the retention policy of one storage lets go, or only say what would go; all of it in this process.

    Safe to run at any time, any number of times, and while others write; `tell` hears the fate of each object, and
    `progress` now and then of the run. Where a run of this storage was left by a worker that died, this one goes on.

    Raises: `ImproperlyConfigured` for an alias that keeps no versions, or that has another storage with other rules
    in its place; `CollectionRunningError`; `CollectionRefusedError` if too much would go; `StoreError` when the bucket
    cannot be listed; `DatabaseError` when nobody can say what the rows point to. Whatever was not collected by then is
    left.
    """
    run = begin(alias, order or Order(dry_run=dry_run))
    return _to_its_end(run, alias, tell=tell, progress=progress)


def go_on(
    run: CollectionRun,
    *,
    tell: Callable[[Fate], object] | None = None,
    progress: Callable[[CollectionRun], object] | None = None,
) -> Summary:
    """Go on with a run that somebody has begun, to its end, in this process; as `collect_garbage`.

    `tell` hears of what is left. Raises: as `collect_garbage`.
    """
    return _to_its_end(run, run.storage, tell=tell, progress=progress)


def _to_its_end(
    run: CollectionRun,
    alias: str,
    *,
    tell: Callable[[Fate], object] | None,
    progress: Callable[[CollectionRun], object] | None,
) -> Summary:
    storage = versioned_storage(alias)
    try:
        while run.is_active:
            claimed = runs.claim(run)
            if claimed is not None:
                runs.work(claimed, storage, seconds=None, tell=tell, progress=progress)
            elif not runs.settle(run, storage) and run.is_active:
                raise CollectionRunningError(
                    f"{alias!r} is being collected already, by run {run.pk} of {run.started:%Y-%m-%d %H:%M}. If "
                    "its worker died, somebody can go on with it in a few minutes."
                )
            run.refresh_from_db()
    except CollectionRunningError:
        raise
    except FAILURES as error:
        runs.end(run, CollectionRun.State.FAILED, str(error))
        raise
    if run.state == CollectionRun.State.REFUSED:
        raise CollectionRefusedError(run.message)
    return Summary.from_dict(run.summary)


def begin(alias: str, order: Order) -> CollectionRun:
    """Begin to collect a storage, or return the run that is under way there; see `runs.begin`.

    Raises: `ImproperlyConfigured`, as `collect_garbage`.
    """
    check_alone(alias)
    return runs.begin(alias, versioned_storage(alias), order)


def stop(run: CollectionRun) -> None:
    """Have a run stop: now if nobody works on it, otherwise after the batch that a worker is at.

    What a dead worker was in the middle of is still to be counted, by whoever goes on with the run. A run of a storage
    that is there no more ends at once. Changes none that has ended.
    """
    CollectionRun.objects.filter(pk=run.pk, finished=None).update(stop_requested=True)
    run.refresh_from_db()
    try:
        storage = versioned_storage(run.storage)
    except ImproperlyConfigured:
        runs.end(run, CollectionRun.State.STOPPED, runs.STOPPED)
    else:
        runs.settle(run, storage)


def check_alone(alias: str) -> None:
    """Raise `ImproperlyConfigured` if collecting a storage would apply its rules to files that have others.

    A storage holds everything below its location, also what another one keeps in a directory there.
    """
    storage = versioned_storage(alias)
    if policies.lets_nothing_go(storage):
        return
    for other_alias in storage_aliases():
        other = versioned_storage(other_alias)
        inside = bucket_of(other) == bucket_of(storage) and root_of(other).startswith(root_of(storage))
        if inside and not policies.keep_alike(other, storage):
            raise ImproperlyConfigured(
                f"Collecting STORAGES[{alias!r}] would apply its retention to the files of "
                f"STORAGES[{other_alias!r}], which lie in the same place and have another. Give each a location "
                "of its own, neither inside the other, or the same retention."
            )


def _keeps_versions(alias: str) -> bool:
    configured: Any = settings.STORAGES[alias]
    try:
        kind = import_string(configured.get("BACKEND", ""))
    except ImportError:
        return False  # Django says so when the storage is used
    return isinstance(kind, type) and issubclass(kind, ConsistentS3Storage)
