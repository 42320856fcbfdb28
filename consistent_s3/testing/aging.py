"""Let time pass for what is stored, so that a test of retention need not wait.

age(storage, timedelta(days=31))
collect_garbage("default")
"""

from __future__ import annotations

from datetime import timedelta

from django.db.models import F

from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing.memory import MemoryObjectStore
from consistent_s3.testing.server import age_objects


def age(storage: ConsistentS3Storage, by: timedelta) -> None:
    """Make everything in a storage's bucket look older, and what the rows of its place tell of it.

    For an `InMemoryConsistentStorage`, and for a storage on the `S3Server` of this process.

    Raises: `ValueError` for any other storage.
    """
    store = storage.make_object_store()
    if isinstance(store, MemoryObjectStore):
        store.age(by)
    else:
        age_objects(storage.bucket_name, by)
    if storage.index_kind == "database":
        from consistent_s3.models import StoredVersion, digest  # noqa: PLC0415 - needs a ready registry

        index = storage.make_database_index(storage.archive.layout)
        rows = StoredVersion.objects.using(index.using).filter(stored_object__place_digest=digest(index.place))
        rows.update(modified=F("modified") - by)
