"""Let time pass for what is stored, so that a test of retention need not wait.

age(storage, timedelta(days=31))
collect_garbage("default")
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from django.db.models import F

from consistent_s3.core.seams import every_object
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing.memory import MemoryObjectStore
from consistent_s3.testing.server import age_objects

if TYPE_CHECKING:
    from consistent_s3.index.redis import RedisIndex


def age(storage: ConsistentS3Storage, by: timedelta) -> None:
    """Make everything in a storage's bucket look older, and what rows or pointers tell of it.

    For an `InMemoryConsistentStorage`, and for a storage on the `S3Server` of this process.

    Raises: `ValueError` for any other storage.
    """
    store = storage.make_object_store()
    if isinstance(store, MemoryObjectStore):
        store.age(by)
    else:
        age_objects(storage.bucket_name, by)
    if storage.index_kind == "database":
        from consistent_s3.models import StoredObject, StoredVersion, digest  # noqa: PLC0415 - needs a ready registry

        index = storage.make_database_index(storage.archive.layout)
        rows = StoredVersion.objects.using(index.using).filter(stored_object__place_digest=digest(index.place))
        rows.update(modified=F("modified") - by)
        names = StoredObject.objects.using(index.using).filter(place_digest=digest(index.place))
        names.update(changed=F("changed") - by)
    if storage.index_kind == "redis":
        _age_pointers(storage, by)


def _age_pointers(storage: ConsistentS3Storage, by: timedelta) -> None:
    layout, index = storage.archive.layout, storage.archive.index
    kept, seconds = cast("RedisIndex", index).kept, int(by.total_seconds())
    listed = every_object(storage.make_object_store(), layout.root)
    for name in {parsed.name for info in listed if (parsed := layout.parse(info.key))}:
        lineage = kept.client.hget(kept.key_of(name), "lineage")
        if lineage:
            text = lineage.decode() if isinstance(lineage, bytes) else lineage
            older = re.sub(r":(\d+)(?=\s)", lambda since: f":{int(since[1]) - seconds}", text)
            kept.client.hset(kept.key_of(name), "lineage", older)
