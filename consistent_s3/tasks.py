"""The Celery tasks. Celery is an extra and is imported nowhere else.

CELERY_BEAT_SCHEDULE = {
    "collect-garbage": {"task": "consistent_s3.collect_garbage", "schedule": crontab(hour=3, minute=7)},
    "resume-collections": {"task": "consistent_s3.resume_collections", "schedule": timedelta(minutes=10)},
}

A collection that takes longer than one turn goes on in `consistent_s3.collect_slice`, one message for each slice. The
second entry goes on with what a killed worker has left, whatever became of its message.

A project that keeps streams of events adds, some hours before it collects:

    "compact-streams": {"task": "consistent_s3.compact_streams", "schedule": crontab(hour=1, minute=7)},
"""

from __future__ import annotations

from typing import Any

from celery import shared_task

from consistent_s3 import runs, turns
from consistent_s3.models import CollectionRun
from consistent_s3.streams.turns import compact_for_a_turn

__all__ = ["collect_garbage", "collect_slice", "compact_streams", "resume_collections"]


@shared_task(name="consistent_s3.collect_garbage", acks_late=True, reject_on_worker_lost=True)
def collect_garbage(storages: list[str] | None = None, *, dry_run: bool = False) -> dict[str, dict[str, Any]]:
    """Apply the retention policy of each storage, by alias; of all that keep versions if none are named.

    The payload carries aliases, never a storage: a storage holds credentials. Idempotent, so it may be delivered
    twice. Returns for each alias what was counted by now, the number of the run and its state, fit for JSON: a run
    that takes longer than a turn goes on in tasks of its own.

    Raises: `CollectionFailedError` after all were tried, if one could not be collected, or was refused.
    """
    return turns.collect_garbage(storages, runs.Order(dry_run=dry_run, started_by="Celery"), _enqueue)


@shared_task(name="consistent_s3.collect_slice", acks_late=True, reject_on_worker_lost=True)
def collect_slice(run: int) -> None:
    """Go through a slice of a run for a turn, whichever is free. Delivered twice, or too late, it does no harm."""
    found = CollectionRun.objects.filter(pk=run).first()
    if found is not None:
        turns.go_on(found, _enqueue)


@shared_task(name="consistent_s3.resume_collections")
def resume_collections() -> list[int]:
    """Go on with the runs that nobody works on: their workers were killed, or their messages are lost."""
    return turns.resume(_enqueue)


@shared_task(name="consistent_s3.compact_streams", acks_late=True, reject_on_worker_lost=True)
def compact_streams(
    storage: str = "default", stream_type: str = "", *, after: str = "", storage_class: str = ""
) -> dict[str, Any]:
    """Cover the small chunks of a storage's streams, or of those of a type, by few; for a turn, then in a new task.

    The payload carries an alias, a type and a place to begin after. Idempotent, so it may be delivered twice. What is
    covered goes when garbage is collected. Returns what was counted in this turn.

    Raises: `CompactionFailedError` after all were tried, if a stream could not be compacted.
    """
    return compact_for_a_turn(
        storage,
        stream_type,
        after=after,
        storage_class=storage_class,
        go_on=lambda place: compact_streams.apply_async(
            (storage, stream_type), {"after": place, "storage_class": storage_class}
        ),
    )


def _enqueue(run: int, *, seconds: int = 0) -> None:
    collect_slice.apply_async((run,), countdown=seconds)
