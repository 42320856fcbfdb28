"""The Celery task. Celery is an extra and is imported nowhere else.

CELERY_BEAT_SCHEDULE = {
    "collect-garbage": {"task": "consistent_s3.collect_garbage", "schedule": crontab(hour=3, minute=7)},
}
"""

from __future__ import annotations

from typing import Any

from celery import shared_task

from consistent_s3 import collection
from consistent_s3.core.errors import ConsistentS3Error


class CollectionFailedError(ConsistentS3Error):
    """At least one storage could not be collected to its end; the others were."""


@shared_task(name="consistent_s3.collect_garbage")
def collect_garbage(storages: list[str] | None = None, *, dry_run: bool = False) -> dict[str, dict[str, Any]]:
    """Apply the retention policy of each storage, by alias; of all that keep versions if none are named.

    The payload carries aliases, never a storage: a storage holds credentials. Idempotent, so it may be delivered
    twice. Returns a summary for each alias, fit for JSON.

    Raises: `CollectionFailedError` after all were tried, if one could not be collected to its end.
    """
    summaries: dict[str, dict[str, Any]] = {}
    failures: list[str] = []
    for alias in collection.storage_aliases() if storages is None else storages:
        try:
            summaries[alias] = collection.collect_garbage(alias, dry_run=dry_run).as_dict()
        except collection.FAILURES as error:
            collection.logger.exception("could not collect %s", alias)
            failures.append(f"{alias}: {error}")
    if failures:
        raise CollectionFailedError(
            f"Collected {', '.join(summaries) or 'nothing'}. Failed for {' '.join(failures)} Running it again is safe."
        )
    return summaries
