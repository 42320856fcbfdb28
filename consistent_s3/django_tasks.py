"""The tasks for Django's own task queue, which came with Django 6.0: a third door beside Celery and the command.

    from consistent_s3.django_tasks import collect_garbage

    collect_garbage.enqueue()                      # every storage that keeps versions
    collect_garbage.enqueue(["archive"], dry_run=True)

Django's queue has no clock: something else says when, such as cron with `manage.py shell`, or a scheduler of the
project's backend. A collection that takes longer than a turn goes on in `collect_slice`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from consistent_s3 import runs, turns
from consistent_s3.models import CollectionRun
from consistent_s3.streams.turns import compact_for_a_turn

try:
    from django.tasks import task
except ImportError as error:
    raise ImportError(
        "consistent_s3.django_tasks needs django.tasks, which came with Django 6.0. Upgrade Django, or collect with "
        "Celery (consistent_s3.tasks) or manage.py consistent_s3 collect."
    ) from error


@task()
def collect_garbage(storages: list[str] | None = None, dry_run: bool = False) -> dict[str, dict[str, Any]]:  # noqa: FBT001, FBT002 - a payload
    """Apply the retention policy of each storage, as `consistent_s3.tasks.collect_garbage`."""
    return turns.collect_garbage(storages, runs.Order(dry_run=dry_run, started_by="django.tasks"), _enqueue)


@task()
def collect_slice(run: int) -> None:
    """Go through a slice of a run for a turn, whichever is free. Delivered twice, or too late, it does no harm."""
    found = CollectionRun.objects.filter(pk=run).first()
    if found is not None:
        turns.go_on(found, _enqueue)


@task()
def resume_collections() -> list[int]:
    """Go on with the runs that nobody works on: their workers were killed, or their messages are lost."""
    return turns.resume(_enqueue)


@task()
def compact_streams(
    storage: str = "default", stream_type: str = "", after: str = "", storage_class: str = ""
) -> dict[str, Any]:
    """Cover the small chunks of a storage's streams by few, as `consistent_s3.tasks.compact_streams`."""
    return compact_for_a_turn(
        storage,
        stream_type,
        after=after,
        storage_class=storage_class,
        go_on=lambda place: compact_streams.enqueue(storage, stream_type, place, storage_class),
    )


def _enqueue(run: int, *, seconds: int = 0) -> None:
    later = collect_slice
    if seconds and later.get_backend().supports_defer:
        later = later.using(run_after=timezone.now() + timedelta(seconds=seconds))
    later.enqueue(run)
